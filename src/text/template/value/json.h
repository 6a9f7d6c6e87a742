// JSON in (the variables) and out (the tojson filter).
#pragma once

#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/core/error.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

// Strings point into `json`, which must outlive the heap. Integers beyond 64 signed bits become
// floats.
Result<Value> from_json(Heap& heap, const nlohmann::ordered_json& json, uint32_t depth = 0);

// json.dumps of Python.
struct JsonStyle {
  std::optional<std::string_view> indent;  // of one level; nullopt: all in one line
  std::string_view item_separator = ", ";
  std::string_view key_separator = ": ";
  bool ensure_ascii = false;
  bool sort_keys = false;
};
Status append_json(TextBuilder& out, const Value& value, const JsonStyle& style,
                   uint32_t depth = 0);

}  // namespace ruvllm::text::jinja
