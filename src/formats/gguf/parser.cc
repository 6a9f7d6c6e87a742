#include "formats/gguf/parser.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/core/checked.h"
#include "formats/gguf/types.h"

namespace ruvllm::formats {
namespace {

static_assert(std::endian::native == std::endian::little,
              "values are read as they stand in the file");

// Caps of reliability R1: far above any real model, low enough to bound time and memory.
constexpr uint64_t kMaxEntries = 65536;
constexpr uint64_t kMaxTensors = 131072;
constexpr uint64_t kMaxStringBytes = uint64_t{64} << 20;
constexpr uint64_t kMaxArrayElements = uint64_t{1} << 26;
constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;           // key, value type, smallest value
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // name, one dim, type, offset

constexpr std::string_view kDamaged = "the file is damaged or incomplete, download it again";
constexpr std::string_view kConvert = "convert the model again with a current converter";

struct Extent {
  uint64_t offset;      // from the begin of all tensor data
  size_t size;          // bytes
  size_t described_at;  // byte of the file that holds `offset`
};

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  Result<GgufTables> parse();

 private:
  Status read_magic_and_version();
  Status read_entry();
  Result<GgufType> read_type(std::string_view field);
  Status skip_value(GgufEntry& entry);
  Status skip_array(GgufEntry& entry);
  Status skip_strings(uint64_t count);
  Status read_alignment();
  Status read_tensor();
  Result<DType> read_dtype();
  Status read_dims(GgufTensor& tensor);
  Result<size_t> tensor_bytes(const GgufTensor& tensor, size_t offset) const;
  Status place_tensors();
  Status check_overlaps();

  template <typename T>
  Result<T> read(std::string_view field);
  Result<uint64_t> read_count(std::string_view field, uint64_t largest, uint64_t min_bytes_each);
  Result<std::string_view> read_string(std::string_view field, uint64_t longest);

  // "model.gguf: tensor 'x' (byte 123): <reason>; <remedy>".
  template <typename... Args>
  std::unexpected<Error> refuse(ErrorCode code, size_t offset, std::string_view remedy,
                                fmt::format_string<Args...> reason, Args&&... args) const {
    return fail(code, "{}: {}{}{} (byte {}): {}; {}", file_, section_, subject_.empty() ? "" : " ",
                subject_.empty() ? std::string() : quoted(subject_), offset,
                fmt::format(reason, std::forward<Args>(args)...), remedy);
  }

  size_t left() const { return bytes_.size() - pos_; }

  std::span<const std::byte> bytes_;
  const std::string& file_;
  size_t pos_ = 0;
  std::string_view section_ = "header";  // what is being read, for errors
  std::string_view subject_;             // its key or tensor name
  size_t alignment_ = kGgufDefaultAlignment;
  GgufTables tables_;
  std::vector<Extent> extents_;  // of each tensor
};

template <typename T>
Result<T> Parser::read(std::string_view field) {
  if (left() < sizeof(T)) {
    return refuse(ErrorCode::kCorrupt, pos_, kDamaged, "file ends within {}", field);
  }
  T value;
  std::memcpy(&value, bytes_.data() + pos_, sizeof(T));
  pos_ += sizeof(T);
  return value;
}

// A number of things that each take at least `min_bytes_each` of what is left of the file.
Result<uint64_t> Parser::read_count(std::string_view field, uint64_t largest,
                                    uint64_t min_bytes_each) {
  const size_t offset = pos_;
  RUVLLM_ASSIGN(const uint64_t count, read<uint64_t>(field));
  if (count > largest) {
    return refuse(ErrorCode::kCorrupt, offset, kDamaged, "{} is {}, more than the limit of {}",
                  field, count, largest);
  }
  if (count * min_bytes_each > left()) {  // cannot overflow: `largest` is small
    return refuse(ErrorCode::kCorrupt, offset, kDamaged, "{} is {}, but only {} bytes follow",
                  field, count, left());
  }
  return count;
}

Result<std::string_view> Parser::read_string(std::string_view field, uint64_t longest) {
  RUVLLM_ASSIGN(const uint64_t length, read_count(field, longest, 1));
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + pos_), length);
  pos_ += length;
  return text;
}

// What people download by mistake in place of a model.
std::string_view foreign_file_hint(std::string_view start) {
  if (start.starts_with("version https://git-lfs")) {
    return "it is a Git LFS pointer, fetch the file itself";
  }
  if (start.starts_with("<")) return "it looks like a web page, download the file itself";
  return "name a .gguf file";
}

Status Parser::read_magic_and_version() {
  const std::string_view start(reinterpret_cast<const char*>(bytes_.data()),
                               std::min<size_t>(bytes_.size(), 32));
  if (!start.starts_with("GGUF")) {
    return refuse(ErrorCode::kCorrupt, 0, foreign_file_hint(start), "not a GGUF file");
  }
  pos_ = 4;
  RUVLLM_ASSIGN(tables_.version, read<uint32_t>("the version"));
  if (tables_.version == 2 || tables_.version == 3) return {};
  if (tables_.version == 0) {
    return refuse(ErrorCode::kCorrupt, 4, kDamaged, "version is 0");
  }
  if ((tables_.version & 0xffffu) == 0) {
    return refuse(ErrorCode::kUnsupported, 4, "convert it to little endian",
                  "the file is big endian");
  }
  return refuse(ErrorCode::kUnsupported, 4, kConvert,
                "GGUF version {} is not supported, versions 2 and 3 are", tables_.version);
}

Result<GgufType> Parser::read_type(std::string_view field) {
  const size_t offset = pos_;
  RUVLLM_ASSIGN(const uint32_t number, read<uint32_t>(field));
  if (number >= kNumGgufTypes) {
    return refuse(ErrorCode::kCorrupt, offset, kDamaged, "{} is {}, which does not exist", field,
                  number);
  }
  return static_cast<GgufType>(number);
}

Status Parser::read_entry() {
  section_ = "metadata";
  subject_ = {};
  const size_t offset = pos_;
  RUVLLM_ASSIGN(const std::string_view key, read_string("key length", kGgufMaxKeyBytes));
  if (key.empty()) return refuse(ErrorCode::kCorrupt, offset, kDamaged, "a key is empty");
  section_ = "metadata key";
  subject_ = key;
  RUVLLM_ASSIGN(const GgufType type, read_type("value type"));
  GgufEntry entry{.key = key, .type = type, .element_type = type, .count = 1};
  const size_t begin = pos_;
  RUVLLM_TRY(skip_value(entry));
  tables_.entries.push_back(entry);
  tables_.values.push_back(bytes_.subspan(begin, pos_ - begin));
  return {};
}

Status Parser::skip_value(GgufEntry& entry) {
  if (entry.type == GgufType::kArray) return skip_array(entry);
  if (entry.type == GgufType::kString) {
    RUVLLM_TRY(read_string("string length", kMaxStringBytes));
    return {};
  }
  const size_t size = gguf_scalar_bytes(entry.type);
  if (left() < size) {
    return refuse(ErrorCode::kCorrupt, pos_, kDamaged, "file ends within its value");
  }
  pos_ += size;
  return {};
}

Status Parser::skip_array(GgufEntry& entry) {
  const size_t offset = pos_;
  RUVLLM_ASSIGN(entry.element_type, read_type("array element type"));
  if (entry.element_type == GgufType::kArray) {
    return refuse(ErrorCode::kUnsupported, offset, kConvert, "arrays of arrays are not supported");
  }
  const bool strings = entry.element_type == GgufType::kString;
  const size_t element_bytes = strings ? sizeof(uint64_t) : gguf_scalar_bytes(entry.element_type);
  RUVLLM_ASSIGN(entry.count, read_count("array length", kMaxArrayElements, element_bytes));
  if (strings) return skip_strings(entry.count);
  pos_ += entry.count * element_bytes;
  return {};
}

// Vocabularies have some 100,000 strings: this loop is most of the time that opening a file takes.
Status Parser::skip_strings(uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t length = 0;
    if (left() < sizeof(length)) {
      return refuse(ErrorCode::kCorrupt, pos_, kDamaged, "file ends within string {} of {}", i,
                    count);
    }
    std::memcpy(&length, bytes_.data() + pos_, sizeof(length));
    if (length > kMaxStringBytes || length > left() - sizeof(length)) {
      return refuse(ErrorCode::kCorrupt, pos_, kDamaged,
                    "length of string {} is {}, but {} bytes follow", i, length,
                    left() - sizeof(length));
    }
    pos_ += sizeof(length) + length;
  }
  return {};
}

Status Parser::read_alignment() {
  const auto entry = std::ranges::find(tables_.entries, kGgufAlignmentKey, &GgufEntry::key);
  if (entry == tables_.entries.end()) return {};
  section_ = "metadata key";
  subject_ = entry->key;
  const std::span<const std::byte> value =
      tables_.values[static_cast<size_t>(entry - tables_.entries.begin())];
  const size_t offset = static_cast<size_t>(value.data() - bytes_.data());
  if (entry->type != GgufType::kUint32) {
    return refuse(ErrorCode::kCorrupt, offset, kConvert, "is of type {}, not uint32",
                  gguf_type_name(entry->type));
  }
  uint32_t alignment = 0;
  std::memcpy(&alignment, value.data(), sizeof(alignment));
  if (!gguf_alignment_is_valid(alignment)) {
    return refuse(ErrorCode::kCorrupt, offset, kConvert,
                  "is {}, not a power of two between 8 and 65536", alignment);
  }
  alignment_ = alignment;
  return {};
}

Result<DType> Parser::read_dtype() {
  const size_t offset = pos_;
  RUVLLM_ASSIGN(const uint32_t number, read<uint32_t>("tensor type"));
  if (const std::optional<DType> dtype = dtype_from_ggml(number)) return *dtype;
  const std::string_view name = ggml_type_name(number);
  return refuse(ErrorCode::kUnsupported, offset,
                fmt::format("quantize the model to one of {}", supported_dtype_names()),
                "its type {} ({}) is not supported", number, name.empty() ? "unknown" : name);
}

Status Parser::read_dims(GgufTensor& tensor) {
  const size_t offset = pos_;
  RUVLLM_ASSIGN(tensor.num_dims, read<uint32_t>("number of dimensions"));
  if (tensor.num_dims == 0 || tensor.num_dims > kGgufMaxDims) {
    return refuse(ErrorCode::kCorrupt, offset, kDamaged, "has {} dimensions, not 1 to {}",
                  tensor.num_dims, kGgufMaxDims);
  }
  std::ranges::fill(tensor.dims, uint64_t{1});
  for (uint32_t i = 0; i < tensor.num_dims; ++i) {
    RUVLLM_ASSIGN(tensor.dims[i], read<uint64_t>("a dimension"));
    if (tensor.dims[i] == 0) {
      return refuse(ErrorCode::kCorrupt, pos_ - sizeof(uint64_t), kDamaged, "dimension {} is 0", i);
    }
  }
  return {};
}

// Size of the data, with rows and columns in the 32 bits of a MatrixView.
Result<size_t> Parser::tensor_bytes(const GgufTensor& tensor, size_t offset) const {
  constexpr uint64_t kMaxExtent = std::numeric_limits<uint32_t>::max();
  uint64_t num_rows = 1;
  for (const uint64_t dim : {tensor.dims[1], tensor.dims[2], tensor.dims[3]}) {
    num_rows = checked_mul(num_rows, dim).value_or(std::numeric_limits<uint64_t>::max());
  }
  if (num_rows > kMaxExtent || tensor.dims[0] > kMaxExtent) {
    return refuse(ErrorCode::kCorrupt, offset, kDamaged,
                  "its shape {}x{}x{}x{} is too large: rows and row length must be below 2^32",
                  tensor.dims[0], tensor.dims[1], tensor.dims[2], tensor.dims[3]);
  }
  const DTypeInfo& info = dtype_info(tensor.dtype);
  const std::optional<size_t> row = row_bytes(tensor.dtype, tensor.dims[0]);
  if (!row) {
    return refuse(ErrorCode::kCorrupt, offset, kConvert,
                  "its row length {} is not a multiple of the {} elements of a {} block",
                  tensor.dims[0], info.block_elements, info.name);
  }
  const std::optional<size_t> bytes = checked_mul<size_t>(*row, num_rows);
  if (!bytes) return refuse(ErrorCode::kCorrupt, offset, kDamaged, "its size overflows");
  return *bytes;
}

Status Parser::read_tensor() {
  section_ = "tensor";
  subject_ = {};
  const size_t begin = pos_;
  RUVLLM_ASSIGN(const std::string_view name, read_string("name length", kGgufMaxTensorNameBytes));
  if (name.empty()) {
    return refuse(ErrorCode::kCorrupt, begin, kDamaged, "name of tensor {} is empty",
                  tables_.tensors.size());
  }
  subject_ = name;
  GgufTensor tensor{};
  tensor.name = name;
  RUVLLM_TRY(read_dims(tensor));
  RUVLLM_ASSIGN(tensor.dtype, read_dtype());
  Extent extent{};
  RUVLLM_ASSIGN(extent.size, tensor_bytes(tensor, begin));
  extent.described_at = pos_;
  RUVLLM_ASSIGN(extent.offset, read<uint64_t>("data offset"));
  if (extent.offset % alignment_ != 0) {
    return refuse(ErrorCode::kCorrupt, extent.described_at, kConvert,
                  "its data offset {} is not a multiple of the alignment {}", extent.offset,
                  alignment_);
  }
  tables_.tensors.push_back(tensor);
  extents_.push_back(extent);
  return {};
}

// Data begins at the first aligned byte after the descriptions.
Status Parser::place_tensors() {
  const uint64_t data_begin = checked_align<uint64_t>(pos_, alignment_).value_or(bytes_.size());
  for (size_t i = 0; i < extents_.size(); ++i) {
    GgufTensor& tensor = tables_.tensors[i];
    const Extent& extent = extents_[i];
    const std::optional<uint64_t> begin = checked_add<uint64_t>(data_begin, extent.offset);
    const std::optional<uint64_t> end =
        begin ? checked_add<uint64_t>(*begin, extent.size) : std::nullopt;
    if (!end || *end > bytes_.size()) {
      subject_ = tensor.name;
      return refuse(ErrorCode::kCorrupt, extent.described_at, kDamaged,
                    "its {} bytes at data offset {} end beyond the file's {} bytes", extent.size,
                    extent.offset, bytes_.size());
    }
    tensor.data = bytes_.subspan(*begin, extent.size);
  }
  return check_overlaps();
}

Status Parser::check_overlaps() {
  std::vector<GgufTensor*> by_address;
  by_address.reserve(tables_.tensors.size());
  for (GgufTensor& tensor : tables_.tensors) by_address.push_back(&tensor);
  std::ranges::sort(by_address, {}, [](const GgufTensor* tensor) { return tensor->data.data(); });
  for (size_t i = 1; i < by_address.size(); ++i) {
    const GgufTensor& before = *by_address[i - 1];
    if (before.data.data() + before.data.size() <= by_address[i]->data.data()) continue;
    subject_ = by_address[i]->name;
    return refuse(ErrorCode::kCorrupt,
                  static_cast<size_t>(by_address[i]->data.data() - bytes_.data()), kDamaged,
                  "its data overlaps that of tensor {}", quoted(before.name));
  }
  return {};
}

Result<GgufTables> Parser::parse() {
  RUVLLM_TRY(read_magic_and_version());
  // Neither count can be checked against what follows before both are read.
  RUVLLM_ASSIGN(const uint64_t num_tensors, read_count("number of tensors", kMaxTensors, 0));
  RUVLLM_ASSIGN(const uint64_t num_entries,
                read_count("number of metadata entries", kMaxEntries, kMinEntryBytes));
  tables_.entries.reserve(num_entries);
  tables_.values.reserve(num_entries);
  for (uint64_t i = 0; i < num_entries; ++i) RUVLLM_TRY(read_entry());
  RUVLLM_TRY(read_alignment());

  section_ = "header";
  subject_ = {};
  if (num_tensors * kMinTensorBytes > left()) {
    return refuse(ErrorCode::kCorrupt, pos_, kDamaged,
                  "{} tensors are announced, but only {} bytes follow the metadata", num_tensors,
                  left());
  }
  tables_.tensors.reserve(num_tensors);
  extents_.reserve(num_tensors);
  for (uint64_t i = 0; i < num_tensors; ++i) RUVLLM_TRY(read_tensor());
  RUVLLM_TRY(place_tensors());
  return std::move(tables_);
}

}  // namespace

Result<GgufTables> parse_gguf_tables(std::span<const std::byte> bytes, const std::string& file) {
  return Parser(bytes, file).parse();
}

}  // namespace ruvllm::formats
