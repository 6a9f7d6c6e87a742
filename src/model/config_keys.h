// Typed reads of "<architecture>.<key>" with ranges, so that every later product fits its type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"

namespace ruvllm::model {

// Errors name file, key, value and what was expected. The file must outlive the reader.
class ConfigKeys {
 public:
  ConfigKeys(const formats::GgufFile& file, std::string_view architecture)
      : file_(file), prefix_(fmt::format("{}.", architecture)) {}

  const std::string& path() const { return file_.path(); }
  bool has(std::string_view key) const { return file_.has(full(key)); }
  bool is_array(std::string_view key) const;

  Result<int32_t> integer(std::string_view key, int32_t min, int32_t max) const;
  Result<int32_t> integer_or(std::string_view key, int32_t fallback, int32_t min,
                             int32_t max) const;
  Result<double> positive(std::string_view key) const;
  Result<double> positive_or(std::string_view key, double fallback) const;
  // For keys whose 0 means the same as their absence.
  Result<double> positive_or_zero(std::string_view key) const;
  Result<bool> boolean_or(std::string_view key, bool fallback) const;
  Result<std::string> string_or(std::string_view key, std::string_view fallback) const;
  // At least num_values truth values, as booleans or as integers.
  Result<std::vector<int64_t>> flags(std::string_view key, int32_t num_values) const;

 private:
  std::string full(std::string_view key) const { return prefix_ + std::string(key); }

  const formats::GgufFile& file_;
  std::string prefix_;
};

}  // namespace ruvllm::model
