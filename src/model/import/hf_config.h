// config.json of a Hugging Face checkpoint: typed reads whose errors name file and field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/core/error.h"

namespace ruvllm::model {

// A value that the family's own code assumes where config.json has none.
struct ConfigDefault {
  std::string_view key;
  double value;
};

class HfConfig {
 public:
  // Entries of "text_config", where multimodal models keep the language model, go over the others.
  static Result<HfConfig> parse(std::string_view text, const std::string& file);

  // Values for keys that are absent; null counts as absent only for these.
  void set_default(const ConfigDefault& fallback);

  const std::string& file() const { return file_; }
  // False for null too: that is how Python writes "none".
  bool has(std::string_view key) const;
  bool has_any(std::initializer_list<std::string_view> keys) const;

  // kCorrupt with file and field if absent or of another type. Integers are 0 to 2^31 - 1; numbers
  // finite.
  Result<uint32_t> integer(std::string_view key) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string> string(std::string_view key) const;
  Result<std::vector<double>> numbers(std::string_view key) const;
  Result<std::vector<std::string>> strings(std::string_view key) const;

  Result<uint32_t> integer_or(std::string_view key, uint32_t fallback) const;
  Result<double> number_or(std::string_view key, double fallback) const;
  Result<bool> boolean_or(std::string_view key, bool fallback) const;
  Result<std::string> string_or(std::string_view key, std::string_view fallback) const;

  // An object as a config of its own; empty if absent.
  Result<HfConfig> section(std::string_view key) const;

  // "config.json: field 'x' <reason>; <remedy>".
  std::unexpected<Error> refuse(std::string_view key, std::string_view reason) const;

 private:
  const nlohmann::json* find(std::string_view key) const;

  nlohmann::json values_ = nlohmann::json::object();
  std::string file_;
  std::string prefix_;  // "rope_scaling." in a section
};

}  // namespace ruvllm::model
