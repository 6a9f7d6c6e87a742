#include "formats/gguf/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/core/check.h"
#include "base/core/checked.h"
#include "formats/gguf/types.h"
#include "formats/io/output_file.h"

namespace ruvllm::formats {
namespace {

static_assert(std::endian::native == std::endian::little,
              "values are written as they are in memory");

// The encoding of one part of the header, grown in memory: kilobytes, or megabytes with a
// vocabulary.
class Encoder {
 public:
  template <typename T>
  void put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  void put_bytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void put_string(std::string_view text) {
    put<uint64_t>(text.size());
    put_bytes(std::as_bytes(std::span(text)));
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

struct DeclaredTensor {
  std::string name;
  size_t size;  // bytes
};

}  // namespace

struct GgufWriter::Impl {
  enum class State { kDescribing, kStreaming, kFinished };

  Impl(std::string path, uint32_t file_alignment)
      : name(path), alignment(file_alignment), file(std::move(path)) {}

  // The first mistake is reported by begin_tensors(): declaring cannot fail half-way.
  template <typename... Args>
  void refuse(fmt::format_string<Args...> format, Args&&... args) {
    if (!mistake) {
      mistake =
          Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: {}", name, fmt::format(format, std::forward<Args>(args)...)));
    }
  }

  void put_key(std::string_view key, GgufType type);
  template <typename T>
  void add_scalar(std::string_view key, GgufType type, T value) {
    put_key(key, type);
    metadata.put<T>(value);
  }
  template <typename T>
  void add_array(std::string_view key, GgufType element_type, std::span<const T> values) {
    put_key(key, GgufType::kArray);
    metadata.put(static_cast<uint32_t>(element_type));
    metadata.put<uint64_t>(values.size());
    metadata.put_bytes(std::as_bytes(values));
  }
  Status pad();

  std::string name;
  uint64_t alignment;
  OutputFile file;
  State state = State::kDescribing;
  std::optional<Error> mistake;

  Encoder metadata;
  uint64_t num_entries = 0;
  std::unordered_set<std::string> keys;

  Encoder descriptions;
  std::vector<DeclaredTensor> tensors;
  std::unordered_set<std::string> tensor_names;
  uint64_t next_offset = 0;

  size_t tensor_idx = 0;      // being written
  size_t tensor_written = 0;  // bytes of it
};

void GgufWriter::Impl::put_key(std::string_view key, GgufType type) {
  RUVLLM_CHECK(state == State::kDescribing);
  if (key.empty() || key.size() > kGgufMaxKeyBytes) {
    refuse("metadata key {} has {} bytes; use 1 to {}", quoted(key), key.size(), kGgufMaxKeyBytes);
  }
  if (!keys.emplace(key).second) {
    refuse("metadata key {} is added twice; add it once", quoted(key));
  }
  ++num_entries;
  metadata.put_string(key);
  metadata.put(static_cast<uint32_t>(type));
}

Status GgufWriter::Impl::pad() {
  const std::vector<std::byte> zeros((alignment - file.size() % alignment) % alignment);
  return file.write(zeros);
}

GgufWriter::GgufWriter(std::string path, uint32_t alignment)
    : impl_(std::make_unique<Impl>(std::move(path), alignment)) {
  if (!gguf_alignment_is_valid(alignment)) {
    impl_->refuse("alignment {} is not a power of two between 8 and 65536; use 32", alignment);
    impl_->alignment = kGgufDefaultAlignment;
  }
  if (alignment != kGgufDefaultAlignment) add_uint32(kGgufAlignmentKey, alignment);
}

GgufWriter::~GgufWriter() = default;

void GgufWriter::add_uint32(std::string_view key, uint32_t value) {
  impl_->add_scalar(key, GgufType::kUint32, value);
}
void GgufWriter::add_uint64(std::string_view key, uint64_t value) {
  impl_->add_scalar(key, GgufType::kUint64, value);
}
void GgufWriter::add_int32(std::string_view key, int32_t value) {
  impl_->add_scalar(key, GgufType::kInt32, value);
}
void GgufWriter::add_float32(std::string_view key, float value) {
  impl_->add_scalar(key, GgufType::kFloat32, value);
}
void GgufWriter::add_bool(std::string_view key, bool value) {
  impl_->add_scalar<uint8_t>(key, GgufType::kBool, value ? 1 : 0);
}
void GgufWriter::add_string(std::string_view key, std::string_view value) {
  impl_->put_key(key, GgufType::kString);
  impl_->metadata.put_string(value);
}
void GgufWriter::add_string_array(std::string_view key, std::span<const std::string> values) {
  impl_->put_key(key, GgufType::kArray);
  impl_->metadata.put(static_cast<uint32_t>(GgufType::kString));
  impl_->metadata.put<uint64_t>(values.size());
  for (const std::string& value : values) impl_->metadata.put_string(value);
}
void GgufWriter::add_int32_array(std::string_view key, std::span<const int32_t> values) {
  impl_->add_array(key, GgufType::kInt32, values);
}
void GgufWriter::add_float32_array(std::string_view key, std::span<const float> values) {
  impl_->add_array(key, GgufType::kFloat32, values);
}

Status GgufWriter::copy_entry(const GgufFile& source, std::string_view key) {
  const GgufEntry* entry = source.find_entry(key);
  if (entry == nullptr) {
    return fail(ErrorCode::kNotFound, "{}: metadata key {} is missing; it cannot be copied to {}",
                source.path(), quoted(key), impl_->name);
  }
  if (key == kGgufAlignmentKey) return {};
  impl_->put_key(key, entry->type);
  impl_->metadata.put_bytes(source.encoded_value(key));
  return {};
}

void GgufWriter::declare_tensor(std::string_view name, DType dtype,
                                std::span<const uint64_t> dims) {
  Impl& impl = *impl_;
  RUVLLM_CHECK(impl.state == Impl::State::kDescribing);
  if (name.empty() || name.size() > kGgufMaxTensorNameBytes) {
    return impl.refuse("tensor name {} has {} bytes; use 1 to {}", quoted(name), name.size(),
                       kGgufMaxTensorNameBytes);
  }
  if (!impl.tensor_names.emplace(name).second) {
    return impl.refuse("tensor {} is declared twice; declare it once", quoted(name));
  }
  if (dims.empty() || dims.size() > kGgufMaxDims) {
    return impl.refuse("tensor {} has {} dimensions; use 1 to {}", quoted(name), dims.size(),
                       kGgufMaxDims);
  }
  std::optional<size_t> size = row_bytes(dtype, dims[0]);
  for (const uint64_t dim : dims.subspan(1)) {
    if (size) size = checked_mul<size_t>(*size, dim);
  }
  const std::optional<uint64_t> end =
      size ? checked_add<uint64_t>(impl.next_offset, *size) : std::nullopt;
  const std::optional<uint64_t> padded_end =
      end ? checked_align<uint64_t>(*end, impl.alignment) : std::nullopt;
  if (!padded_end || *size == 0) {
    return impl.refuse("tensor {} has a shape of [{}] that {} cannot store; choose another type",
                       quoted(name), fmt::join(dims, ", "), dtype_info(dtype).name);
  }
  impl.descriptions.put_string(name);
  impl.descriptions.put(static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) impl.descriptions.put<uint64_t>(dim);
  impl.descriptions.put(ggml_from_dtype(dtype));
  impl.descriptions.put<uint64_t>(impl.next_offset);
  impl.tensors.push_back({std::string(name), *size});
  impl.next_offset = *padded_end;
}

Status GgufWriter::begin_tensors() {
  Impl& impl = *impl_;
  RUVLLM_CHECK(impl.state == Impl::State::kDescribing);
  if (impl.mistake) return std::unexpected(*impl.mistake);
  impl.state = Impl::State::kStreaming;
  RUVLLM_TRY(impl.file.open());
  Encoder header;
  header.put_bytes(std::as_bytes(std::span(std::string_view("GGUF"))));
  header.put<uint32_t>(3);
  header.put<uint64_t>(impl.tensors.size());
  header.put<uint64_t>(impl.num_entries);
  RUVLLM_TRY(impl.file.write(header.bytes()));
  RUVLLM_TRY(impl.file.write(impl.metadata.bytes()));
  RUVLLM_TRY(impl.file.write(impl.descriptions.bytes()));
  return impl.tensors.empty() ? Status() : impl.pad();
}

Status GgufWriter::write_tensor_data(std::span<const std::byte> bytes) {
  Impl& impl = *impl_;
  RUVLLM_CHECK(impl.state == Impl::State::kStreaming);
  while (!bytes.empty()) {
    if (impl.tensor_idx == impl.tensors.size()) {
      return fail(ErrorCode::kInvalidArgument,
                  "{}: {} bytes more than the declared tensors take; declare all tensors first",
                  impl.name, bytes.size());
    }
    const size_t missing = impl.tensors[impl.tensor_idx].size - impl.tensor_written;
    const std::span<const std::byte> chunk = bytes.first(std::min(missing, bytes.size()));
    RUVLLM_TRY(impl.file.write(chunk));
    bytes = bytes.subspan(chunk.size());
    impl.tensor_written += chunk.size();
    if (chunk.size() < missing) continue;
    RUVLLM_TRY(impl.pad());
    impl.tensor_written = 0;
    ++impl.tensor_idx;
  }
  return {};
}

Status GgufWriter::finish() {
  Impl& impl = *impl_;
  if (impl.state == Impl::State::kDescribing) RUVLLM_TRY(begin_tensors());
  RUVLLM_CHECK(impl.state == Impl::State::kStreaming);
  if (impl.tensor_idx < impl.tensors.size()) {
    const DeclaredTensor& tensor = impl.tensors[impl.tensor_idx];
    return fail(ErrorCode::kInvalidArgument,
                "{}: tensor {} got {} of its {} bytes; write all tensors before finishing",
                impl.name, quoted(tensor.name), impl.tensor_written, tensor.size);
  }
  RUVLLM_TRY(impl.file.commit());
  impl.state = Impl::State::kFinished;
  return {};
}

}  // namespace ruvllm::formats
