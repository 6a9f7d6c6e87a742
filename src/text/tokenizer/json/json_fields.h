// Fields of a JSON object from an untrusted file, with errors that name them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/core/error.h"

namespace ruvllm::text {

// An object and how to name it in errors: "tokenizer.json: pre_tokenizer.pretokenizers[1]".
struct JsonField {
  const nlohmann::json& value;
  std::string place;

  // The member `key`, or none if it is absent or null.
  std::optional<JsonField> find(std::string_view key) const;
  // The same; kCorrupt if there is none.
  Result<JsonField> require(std::string_view key) const;
  JsonField element(size_t index) const;  // of an array, in range

  // What the field itself holds; kCorrupt if it is of another type.
  Result<std::string> as_string() const;
  Result<int64_t> as_integer() const;
  Result<double> as_number() const;
  Status expect_array() const;
  Status expect_object() const;

  // A member's value, `otherwise` if it is absent or null.
  Result<bool> get_bool(std::string_view key, bool otherwise) const;
  Result<std::string> get_string(std::string_view key, std::string_view otherwise) const;

  // The member "type". kCorrupt if there is none.
  Result<std::string> type() const;
};

}  // namespace ruvllm::text
