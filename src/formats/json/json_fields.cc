#include "formats/json/json_fields.h"

#include <cmath>

#include <fmt/format.h>

namespace ruvllm::formats {

using nlohmann::json;

Result<JsonFields> JsonFields::of(json values, const std::string& file, std::string_view what) {
  if (!values.is_object()) {
    return fail(ErrorCode::kCorrupt, "{}: not a JSON object; name {}", file, what);
  }
  return JsonFields(std::move(values), file, "");
}

const json* JsonFields::find(std::string_view key) const {
  const auto found = values_.find(std::string(key));
  return found == values_.end() || found->is_null() ? nullptr : &*found;
}

bool JsonFields::has_any(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) {
    if (has(key)) return true;
  }
  return false;
}

std::unexpected<Error> JsonFields::refuse(std::string_view key, std::string_view reason) const {
  return fail(ErrorCode::kCorrupt, "{}: field '{}{}' {}; the file is damaged or of another kind",
              file_, prefix_, key, reason);
}

Result<uint32_t> JsonFields::integer(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  // Python writes 1e6 and 4096.0 for whole numbers too.
  double number = -1.0;
  if (value->is_number()) number = value->get<double>();
  if (!(number >= 0.0 && number <= 2147483647.0) || number != std::floor(number)) {
    return refuse(key, "is not a whole number from 0 to 2^31 - 1");
  }
  return static_cast<uint32_t>(number);
}

Result<double> JsonFields::number(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    return refuse(key, "is not a number");
  }
  return value->get<double>();
}

Result<bool> JsonFields::boolean(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  if (!value->is_boolean()) return refuse(key, "is neither true nor false");
  return value->get<bool>();
}

Result<std::string> JsonFields::string(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  if (!value->is_string()) return refuse(key, "is not text");
  return value->get<std::string>();
}

Result<std::vector<double>> JsonFields::numbers(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  if (!value->is_array()) return refuse(key, "is not a list of numbers");
  std::vector<double> numbers;
  numbers.reserve(value->size());
  for (const json& item : *value) {
    if (!item.is_number() || !std::isfinite(item.get<double>())) {
      return refuse(key, "is not a list of numbers");
    }
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

Result<std::vector<std::string>> JsonFields::strings(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  if (!value->is_array()) return refuse(key, "is not a list of texts");
  std::vector<std::string> strings;
  strings.reserve(value->size());
  for (const json& item : *value) {
    if (!item.is_string()) return refuse(key, "is not a list of texts");
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

Result<uint32_t> JsonFields::integer_or(std::string_view key, uint32_t fallback) const {
  if (!has(key)) return fallback;
  return integer(key);
}
Result<double> JsonFields::number_or(std::string_view key, double fallback) const {
  if (!has(key)) return fallback;
  return number(key);
}
Result<bool> JsonFields::boolean_or(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  return boolean(key);
}
Result<std::string> JsonFields::string_or(std::string_view key, std::string_view fallback) const {
  if (!has(key)) return std::string(fallback);
  return string(key);
}

Result<JsonFields> JsonFields::section(std::string_view key) const {
  std::string prefix = fmt::format("{}{}.", prefix_, key);
  const json* value = find(key);
  if (value == nullptr) return JsonFields(json::object(), file_, std::move(prefix));
  if (!value->is_object()) return refuse(key, "is no object");
  return JsonFields(*value, file_, std::move(prefix));
}

}  // namespace ruvllm::formats
