#include "formats/safetensors/header.h"

#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "formats/gguf/types.h"

namespace ruvllm::formats {
namespace {

using nlohmann::json;

constexpr size_t kMaxTensors = size_t{1} << 18;
constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxDims = 8;
constexpr size_t kHeaderLengthBytes = 8;  // before the header, for offsets in messages

struct TypeInfo {
  std::string_view name;
  size_t bytes;
};

// Indexed by SafeType.
constexpr TypeInfo kTypes[] = {{"F64", 8}, {"F32", 4},     {"F16", 2},     {"BF16", 2}, {"F8_E4M3", 1},
                               {"F8_E5M2", 1}, {"I64", 8}, {"U64", 8},     {"I32", 4},  {"U32", 4},
                               {"I16", 2}, {"U16", 2},     {"I8", 1},      {"U8", 1},   {"BOOL", 1}};

std::optional<SafeType> type_from_name(std::string_view name) {
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    if (kTypes[i].name == name) return static_cast<SafeType>(i);
  }
  return std::nullopt;
}

// {"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, "__metadata__": {...}}
class HeaderReader final : public json::json_sax_t {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}

  std::optional<Error> error;
  std::vector<SafeTensorEntry> entries;

  bool null() override { return wrong_value("null"); }
  bool boolean(bool) override { return wrong_value("a bool"); }
  bool number_integer(number_integer_t) override { return wrong_value("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return wrong_value("a fraction"); }
  bool binary(binary_t&) override { return wrong_value("binary"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t& text) override;
  bool start_object(size_t) override;
  bool end_object() override;
  bool start_array(size_t) override;
  bool end_array() override;
  bool key(string_t& name) override;
  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    const size_t byte = kHeaderLengthBytes + (position > 0 ? position - 1 : 0);
    return refuse(fmt::format("the header is not JSON (byte {})", byte));
  }

 private:
  enum class Where : uint8_t { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kDone };

  bool refuse(std::string reason) {
    std::string where = file_;
    if (where_ >= Where::kTensor && where_ != Where::kDone) {
      where += fmt::format(": tensor {}", formats::quoted(entries.back().name));
    }
    error = Error(ErrorCode::kCorrupt,
                  fmt::format("{}: {}; the file is damaged or incomplete, download it again", where,
                              reason));
    return false;
  }
  bool wrong_value(std::string_view what) {
    if (where_ == Where::kMetadata) return refuse(fmt::format("'__metadata__' holds {}, not text", what));
    return refuse(fmt::format("field '{}' is {}", field_, what));
  }

  const std::string& file_;
  Where where_ = Where::kStart;
  std::string field_ = "header";
  bool has_type_ = false, has_shape_ = false;
  size_t num_offsets_ = 0;
};

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  SafeTensorEntry* entry = entries.empty() ? nullptr : &entries.back();
  if (where_ == Where::kShape) {
    if (entry->shape.size() == kMaxDims) {
      return refuse(fmt::format("field 'shape' has more than {} dimensions", kMaxDims));
    }
    entry->shape.push_back(value);
    return true;
  }
  if (where_ != Where::kOffsets) return wrong_value("a number");
  if (num_offsets_ >= 2) return refuse("field 'data_offsets' has more than two numbers");
  (num_offsets_++ == 0 ? entry->begin : entry->end) = value;
  return true;
}

bool HeaderReader::string(string_t& text) {
  if (where_ == Where::kMetadata) return true;
  if (where_ != Where::kTensor || field_ != "dtype") return wrong_value("text");
  const std::optional<SafeType> type = type_from_name(text);
  if (!type) {
    refuse(fmt::format("field 'dtype' is {}, which is not known", formats::quoted(text)));
    error = Error(ErrorCode::kUnsupported, error->message());
    return false;
  }
  entries.back().type = *type;
  has_type_ = true;
  return true;
}

bool HeaderReader::start_object(size_t) {
  if (where_ == Where::kStart) {
    where_ = Where::kTop;
    return true;
  }
  if (where_ != Where::kTop) return wrong_value("an object");
  if (field_ == "__metadata__") {
    where_ = Where::kMetadata;
    return true;
  }
  if (entries.size() == kMaxTensors) {
    return refuse(fmt::format("the header has more than {} tensors", kMaxTensors));
  }
  entries.emplace_back().name = field_;
  where_ = Where::kTensor;
  has_type_ = has_shape_ = false;
  num_offsets_ = 0;
  return true;
}

bool HeaderReader::end_object() {
  if (where_ == Where::kTop) {
    where_ = Where::kDone;
    return true;
  }
  if (where_ == Where::kTensor) {
    const char* missing = !has_type_ ? "dtype" : !has_shape_ ? "shape" : "data_offsets";
    if (!has_type_ || !has_shape_ || num_offsets_ != 2) {
      return refuse(fmt::format("field '{}' is missing", missing));
    }
  }
  where_ = Where::kTop;
  return true;
}

bool HeaderReader::start_array(size_t) {
  if (where_ == Where::kTensor && field_ == "shape" && !has_shape_) {
    where_ = Where::kShape;
    has_shape_ = true;
    return true;
  }
  if (where_ == Where::kTensor && field_ == "data_offsets" && num_offsets_ == 0) {
    where_ = Where::kOffsets;
    return true;
  }
  return wrong_value("an array");
}

bool HeaderReader::end_array() {
  if (where_ == Where::kOffsets && num_offsets_ != 2) {
    return refuse("field 'data_offsets' has fewer than two numbers");
  }
  where_ = Where::kTensor;
  return true;
}

bool HeaderReader::key(string_t& name) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    return refuse(fmt::format("a name of {} bytes; expected 1 to {}", name.size(), kMaxNameBytes));
  }
  field_ = name;
  if (where_ != Where::kTensor) return true;
  if (name == "dtype" || name == "shape" || name == "data_offsets") return true;
  return refuse(fmt::format("field {} is not known", formats::quoted(name)));
}

}  // namespace

std::string_view safe_type_name(SafeType type) { return kTypes[static_cast<size_t>(type)].name; }

size_t safe_type_bytes(SafeType type) { return kTypes[static_cast<size_t>(type)].bytes; }

Result<std::vector<SafeTensorEntry>> parse_safetensors_header(std::string_view text,
                                                              const std::string& file) {
  HeaderReader reader(file);
  if (!json::sax_parse(text, &reader)) {
    if (reader.error) return std::unexpected(*std::move(reader.error));
    return fail(ErrorCode::kCorrupt, "{}: the header is not JSON; download the file again", file);
  }
  return std::move(reader.entries);
}

}  // namespace ruvllm::formats
