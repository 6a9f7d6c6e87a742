#include "formats/gguf/gguf_writer.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/core/check.h"
#include "base/core/checked.h"
#include "formats/gguf/assembly/metadata.h"
#include "formats/gguf/types.h"
#include "formats/io/output_file.h"

namespace ruvllm::formats {
namespace {

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

  Status pad();

  std::string name;
  uint64_t alignment;
  OutputFile file;
  State state = State::kDescribing;
  std::optional<Error> mistake;

  GgufMetadata metadata;

  GgufEncoder descriptions;
  std::vector<DeclaredTensor> tensors;
  std::unordered_set<std::string> tensor_names;
  uint64_t next_offset = 0;

  size_t tensor_idx = 0;      // being written
  size_t tensor_written = 0;  // bytes of it
};

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

GgufMetadata& GgufWriter::metadata() {
  RUVLLM_CHECK(impl_->state == Impl::State::kDescribing);
  return impl_->metadata;
}

void GgufWriter::add_uint32(std::string_view key, uint32_t value) {
  metadata().add_uint32(key, value);
}
void GgufWriter::add_uint64(std::string_view key, uint64_t value) {
  metadata().add_uint64(key, value);
}
void GgufWriter::add_int32(std::string_view key, int32_t value) {
  metadata().add_int32(key, value);
}
void GgufWriter::add_float32(std::string_view key, float value) {
  metadata().add_float32(key, value);
}
void GgufWriter::add_bool(std::string_view key, bool value) {
  metadata().add_bool(key, value);
}
void GgufWriter::add_string(std::string_view key, std::string_view value) {
  metadata().add_string(key, value);
}
void GgufWriter::add_string_array(std::string_view key, std::span<const std::string> values) {
  metadata().add_string_array(key, values);
}
void GgufWriter::add_int32_array(std::string_view key, std::span<const int32_t> values) {
  metadata().add_int32_array(key, values);
}
void GgufWriter::add_float32_array(std::string_view key, std::span<const float> values) {
  metadata().add_float32_array(key, values);
}

Status GgufWriter::copy_entry(const GgufFile& source, std::string_view key) {
  const GgufEntry* entry = source.find_entry(key);
  if (entry == nullptr) {
    return fail(ErrorCode::kNotFound, "{}: metadata key {} is missing; it cannot be copied to {}",
                source.path(), quoted(key), impl_->name);
  }
  if (key == kGgufAlignmentKey) return {};
  metadata().add_encoded(key, entry->type, source.encoded_value(key));
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
  RUVLLM_TRY(impl.metadata.check(impl.name));
  if (impl.mistake) return std::unexpected(*impl.mistake);
  impl.state = Impl::State::kStreaming;
  RUVLLM_TRY(impl.file.open());
  GgufEncoder header;
  header.put_header(impl.tensors.size(), impl.metadata.num_entries());
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
