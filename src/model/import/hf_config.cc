#include "model/import/hf_config.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "formats/json/json_document.h"

namespace ruvllm::model {

using nlohmann::json;

Result<HfConfig> HfConfig::parse(std::string_view text, const std::string& file) {
  HfConfig config;
  config.file_ = file;
  RUVLLM_ASSIGN(config.values_, formats::parse_json_document(text, file));
  if (!config.values_.is_object()) {
    return fail(ErrorCode::kCorrupt, "{}: not a JSON object; name the config.json of a model", file);
  }
  const auto text_config = config.values_.find("text_config");
  if (text_config == config.values_.end() || text_config->is_null()) return config;
  if (!text_config->is_object()) return config.refuse("text_config", "is no object");
  const json inner = *text_config;
  for (const auto& [key, value] : inner.items()) {
    // What names the whole model stays.
    if (key != "architectures" && key != "model_type") config.values_[key] = value;
  }
  return config;
}

void HfConfig::set_default(const ConfigDefault& fallback) {
  json& value = values_[std::string(fallback.key)];
  if (!value.is_null()) return;
  const double whole = std::nearbyint(fallback.value);
  if (whole == fallback.value) {
    value = static_cast<int64_t>(whole);
  } else {
    value = fallback.value;
  }
}

const json* HfConfig::find(std::string_view key) const {
  const auto found = values_.find(std::string(key));
  return found == values_.end() || found->is_null() ? nullptr : &*found;
}

bool HfConfig::has(std::string_view key) const { return find(key) != nullptr; }

bool HfConfig::has_any(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) {
    if (has(key)) return true;
  }
  return false;
}

std::unexpected<Error> HfConfig::refuse(std::string_view key, std::string_view reason) const {
  return fail(ErrorCode::kCorrupt,
              "{}: field '{}{}' {}; the file is damaged or of another kind of model", file_, prefix_,
              key, reason);
}

Result<uint32_t> HfConfig::integer(std::string_view key) const {
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

Result<double> HfConfig::number(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    return refuse(key, "is not a number");
  }
  return value->get<double>();
}

Result<bool> HfConfig::boolean(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  if (!value->is_boolean()) return refuse(key, "is neither true nor false");
  return value->get<bool>();
}

Result<std::string> HfConfig::string(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return refuse(key, "is missing");
  if (!value->is_string()) return refuse(key, "is not text");
  return value->get<std::string>();
}

Result<std::vector<double>> HfConfig::numbers(std::string_view key) const {
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

Result<std::vector<std::string>> HfConfig::strings(std::string_view key) const {
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

Result<uint32_t> HfConfig::integer_or(std::string_view key, uint32_t fallback) const {
  if (!has(key)) return fallback;
  return integer(key);
}
Result<double> HfConfig::number_or(std::string_view key, double fallback) const {
  if (!has(key)) return fallback;
  return number(key);
}
Result<bool> HfConfig::boolean_or(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  return boolean(key);
}
Result<std::string> HfConfig::string_or(std::string_view key, std::string_view fallback) const {
  if (!has(key)) return std::string(fallback);
  return string(key);
}

Result<HfConfig> HfConfig::section(std::string_view key) const {
  HfConfig inner;
  inner.file_ = file_;
  inner.prefix_ = fmt::format("{}{}.", prefix_, key);
  const json* value = find(key);
  if (value == nullptr) return inner;
  if (!value->is_object()) return refuse(key, "is no object");
  inner.values_ = *value;
  return inner;
}

}  // namespace ruvllm::model
