#include "text/template/value/json.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "text/template/value/compare.h"
#include "text/template/value/print.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

void append_escape(std::string& out, char32_t c) {
  const auto number = static_cast<uint32_t>(c);
  if (number < 0x10000) {
    out += fmt::format("\\u{:04x}", number);
  } else {
    out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((number - 0x10000) >> 10),
                       0xDC00 + ((number - 0x10000) & 0x3FF));
  }
}

Status append_json_string(TextBuilder& out, std::string_view text, bool ensure_ascii) {
  std::string piece = "\"";
  for (size_t i = 0; i < text.size();) {
    const CodePoint next = decode(text, i);
    const char32_t c = next.value;
    if (c == '"' || c == '\\') {
      piece += {'\\', static_cast<char>(c)};
    } else if (c == '\n') {
      piece += "\\n";
    } else if (c == '\r') {
      piece += "\\r";
    } else if (c == '\t') {
      piece += "\\t";
    } else if (c == '\b') {
      piece += "\\b";
    } else if (c == '\f') {
      piece += "\\f";
    } else if (c < 0x20 || (ensure_ascii && c >= 0x80)) {
      append_escape(piece, c);
    } else {
      piece += text.substr(i, next.length);
    }
    i += next.length;
    if (piece.size() > 4096) {
      RUVLLM_TRY(out.append(piece));
      piece.clear();
    }
  }
  piece += '"';
  return out.append(piece);
}

std::string number_text(const Value& value) {
  if (value.boolean() != nullptr) return *value.boolean() ? "true" : "false";
  if (value.integer() != nullptr) return fmt::format("{}", *value.integer());
  const double number = *value.real();
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return format_float(number);
}

Status append_key(TextBuilder& out, const Value& key, const JsonStyle& style) {
  if (key.text() != nullptr) return append_json_string(out, key.text()->view, style.ensure_ascii);
  RUVLLM_TRY(out.append('"'));
  RUVLLM_TRY(out.append(key.is_none() ? "null" : number_text(key)));
  return out.append('"');
}

// What stands before item `idx`, or before the closing bracket when `closing`.
Status append_gap(TextBuilder& out, const JsonStyle& style, uint32_t depth, bool first,
                  bool closing) {
  if (!first && !closing) RUVLLM_TRY(out.append(style.item_separator));
  if (!style.indent) return {};
  RUVLLM_TRY(out.append('\n'));
  return out.append_repeated(*style.indent, closing ? depth : depth + 1);
}

Status append_array(TextBuilder& out, const List& list, const JsonStyle& style, uint32_t depth) {
  if (list.items.empty()) return out.append("[]");
  RUVLLM_TRY(out.append('['));
  for (size_t i = 0; i < list.items.size(); ++i) {
    RUVLLM_TRY(append_gap(out, style, depth, i == 0, false));
    RUVLLM_TRY(append_json(out, list.items[i], style, depth + 1));
  }
  RUVLLM_TRY(append_gap(out, style, depth, false, true));
  return out.append(']');
}

Result<std::vector<const std::pair<Value, Value>*>> entries_of(Heap& heap, const Dict& dict,
                                                               bool sorted) {
  std::vector<const std::pair<Value, Value>*> entries;
  entries.reserve(dict.entries.size());
  for (const auto& entry : dict.entries) entries.push_back(&entry);
  if (!sorted) return entries;
  RUVLLM_TRY(heap.spend(dict.entries.size()));
  for (const auto* entry : entries) {
    if (entry->first.text() == nullptr) {
      return fail(ErrorCode::kInvalidArgument, "sort_keys wants string keys, not {}",
                  entry->first.type_name());
    }
  }
  std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
    return a->first.text()->view < b->first.text()->view;
  });
  return entries;
}

Status append_object(TextBuilder& out, const Dict& dict, const JsonStyle& style, uint32_t depth) {
  if (dict.entries.empty()) return out.append("{}");
  RUVLLM_ASSIGN(const auto entries, entries_of(out.heap(), dict, style.sort_keys));
  RUVLLM_TRY(out.append('{'));
  for (size_t i = 0; i < entries.size(); ++i) {
    RUVLLM_TRY(append_gap(out, style, depth, i == 0, false));
    RUVLLM_TRY(append_key(out, entries[i]->first, style));
    RUVLLM_TRY(out.append(style.key_separator));
    RUVLLM_TRY(append_json(out, entries[i]->second, style, depth + 1));
  }
  RUVLLM_TRY(append_gap(out, style, depth, false, true));
  return out.append('}');
}

}  // namespace

Result<Value> from_json(Heap& heap, const nlohmann::ordered_json& json, uint32_t depth) {
  using Json = nlohmann::ordered_json;
  RUVLLM_TRY(heap.admit_depth(depth));
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(*json.get_ptr<const Json::boolean_t*>());
    case Json::value_t::string:
      return Value::constant(*json.get_ptr<const Json::string_t*>());
    case Json::value_t::number_float:
      return Value(*json.get_ptr<const Json::number_float_t*>());
    case Json::value_t::number_integer:
      return Value(int64_t{*json.get_ptr<const Json::number_integer_t*>()});
    case Json::value_t::number_unsigned: {
      const uint64_t number = *json.get_ptr<const Json::number_unsigned_t*>();
      if (number > INT64_MAX) return Value(static_cast<double>(number));
      return Value(static_cast<int64_t>(number));
    }
    case Json::value_t::array: {
      List* list = heap.input_list(json.size());
      for (const Json& item : json) {
        RUVLLM_ASSIGN(Value value, from_json(heap, item, depth + 1));
        list->items.push_back(std::move(value));
      }
      return Value(list);
    }
    case Json::value_t::object: {
      Dict* dict = heap.input_dict(json.size());
      for (const auto& [key, item] : *json.get_ptr<const Json::object_t*>()) {
        RUVLLM_ASSIGN(Value value, from_json(heap, item, depth + 1));
        dict->entries.emplace_back(Value::constant(key), std::move(value));
      }
      return Value(dict);
    }
    case Json::value_t::null:
    case Json::value_t::binary:
    case Json::value_t::discarded:
      break;
  }
  return Value(None{});
}

Status append_json(TextBuilder& out, const Value& value, const JsonStyle& style, uint32_t depth) {
  RUVLLM_TRY(out.heap().admit_depth(depth));
  RUVLLM_TRY(out.heap().spend());
  if (value.is_none()) return out.append("null");
  if (is_number(value)) return out.append(number_text(value));
  if (value.text() != nullptr)
    return append_json_string(out, value.text()->view, style.ensure_ascii);
  if (value.list() != nullptr && value.list()->kind != ListKind::kGenerator) {
    return append_array(out, *value.list(), style, depth);
  }
  if (value.dict() != nullptr) return append_object(out, *value.dict(), style, depth);
  return fail(ErrorCode::kInvalidArgument, "a value of type {} has no JSON form",
              value.type_name());
}

}  // namespace ruvllm::text::jinja
