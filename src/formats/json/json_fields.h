// Typed reads of a JSON object's fields, whose errors name file and field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/core/error.h"

namespace ruvllm::formats {

class JsonFields {
 public:
  JsonFields() = default;  // no fields
  // kCorrupt if `values` is no object. `what` says in the error what the file should be.
  static Result<JsonFields> of(nlohmann::json values, const std::string& file,
                               std::string_view what);

  const std::string& file() const { return file_; }
  const nlohmann::json& values() const { return values_; }
  // False for null too: that is how Python writes "none".
  bool has(std::string_view key) const { return find(key) != nullptr; }
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

  // An object with fields of its own; none if absent.
  Result<JsonFields> section(std::string_view key) const;

  // kCorrupt: "config.json: field 'x' <reason>; <remedy>".
  std::unexpected<Error> refuse(std::string_view key, std::string_view reason) const;

 protected:
  nlohmann::json& mutable_values() { return values_; }

 private:
  JsonFields(nlohmann::json values, std::string file, std::string prefix)
      : values_(std::move(values)), file_(std::move(file)), prefix_(std::move(prefix)) {}

  const nlohmann::json* find(std::string_view key) const;

  nlohmann::json values_ = nlohmann::json::object();
  std::string file_;
  std::string prefix_;  // "rope_scaling." in a section
};

}  // namespace ruvllm::formats
