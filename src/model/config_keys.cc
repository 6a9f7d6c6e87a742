#include "model/config_keys.h"

#include <cstddef>
#include <span>
#include <utility>

namespace ruvllm::model {

using formats::GgufEntry;
using formats::GgufType;

bool ConfigKeys::is_array(std::string_view key) const {
  const GgufEntry* entry = file_.find_entry(full(key));
  return entry != nullptr && entry->type == GgufType::kArray;
}

Result<int32_t> ConfigKeys::integer(std::string_view key, int32_t min, int32_t max) const {
  RUVLLM_ASSIGN(const int64_t value, file_.get_int(full(key)));
  if (value < min || value > max) {
    return fail(ErrorCode::kCorrupt, "{}: {} is {}; expected {} to {}", path(), full(key), value,
                min, max);
  }
  return static_cast<int32_t>(value);
}

Result<int32_t> ConfigKeys::integer_or(std::string_view key, int32_t fallback, int32_t min,
                                       int32_t max) const {
  if (!has(key)) return fallback;
  return integer(key, min, max);
}

Result<double> ConfigKeys::positive(std::string_view key) const {
  RUVLLM_ASSIGN(const double value, file_.get_float(full(key)));
  if (!(value > 0.0) || value > 1e12) {
    return fail(ErrorCode::kCorrupt, "{}: {} is {}; expected a positive number", path(), full(key),
                value);
  }
  return value;
}

Result<double> ConfigKeys::positive_or(std::string_view key, double fallback) const {
  if (!has(key)) return fallback;
  return positive(key);
}

Result<double> ConfigKeys::positive_or_zero(std::string_view key) const {
  if (!has(key)) return 0.0;
  RUVLLM_ASSIGN(const double value, file_.get_float(full(key)));
  if (value == 0.0) return 0.0;
  return positive(key);
}

Result<bool> ConfigKeys::boolean_or(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  return file_.get_bool(full(key));
}

Result<std::string> ConfigKeys::string_or(std::string_view key, std::string_view fallback) const {
  if (!has(key)) return std::string(fallback);
  RUVLLM_ASSIGN(const std::string_view value, file_.get_string(full(key)));
  return std::string(value);
}

Result<std::vector<int64_t>> ConfigKeys::flags(std::string_view key, int32_t num_values) const {
  const GgufEntry* entry = file_.find_entry(full(key));
  std::vector<int64_t> values;
  if (entry != nullptr && entry->type == GgufType::kArray &&
      entry->element_type == GgufType::kBool) {
    // An encoded array begins with its element type (4 bytes) and count (8).
    const std::span<const std::byte> encoded = file_.encoded_value(full(key)).subspan(12);
    for (const std::byte value : encoded) values.push_back(std::to_integer<int64_t>(value));
  } else {
    RUVLLM_ASSIGN(values, file_.get_int_array(full(key)));
  }
  if (std::cmp_less(values.size(), num_values)) {
    return fail(ErrorCode::kCorrupt, "{}: {} has {} values; expected one for each of {} layers",
                path(), full(key), values.size(), num_values);
  }
  return values;
}

}  // namespace ruvllm::model
