#include "text/template/value/value.h"

#include <algorithm>

namespace ruvllm::text::jinja {
namespace {

// Python's keys compare by value across the number types: 1, 1.0 and True are one key.
bool same_key(const Value& a, const Value& b) {
  const auto number = [](const Value& value, double* out) {
    if (value.boolean() != nullptr) *out = *value.boolean() ? 1.0 : 0.0;
    if (value.real() != nullptr) *out = *value.real();
    return value.boolean() != nullptr || value.real() != nullptr;
  };
  if (a.text() != nullptr || b.text() != nullptr) {
    return a.text() != nullptr && b.text() != nullptr && a.text()->view == b.text()->view;
  }
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.integer() != nullptr && b.integer() != nullptr) return *a.integer() == *b.integer();
  double x = a.integer() != nullptr ? static_cast<double>(*a.integer()) : 0.0;
  double y = b.integer() != nullptr ? static_cast<double>(*b.integer()) : 0.0;
  const bool comparable =
      (number(a, &x) || a.integer() != nullptr) && (number(b, &y) || b.integer() != nullptr);
  return comparable && x == y;
}

}  // namespace

Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (boolean() != nullptr) return *boolean();
  if (integer() != nullptr) return *integer() != 0;
  if (real() != nullptr) return *real() != 0.0;
  if (text() != nullptr) return !text()->view.empty();
  if (list() != nullptr) return list()->kind == ListKind::kGenerator || !list()->items.empty();
  if (dict() != nullptr) return !dict()->entries.empty();
  return true;
}

std::string_view Value::type_name() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (boolean() != nullptr) return "bool";
  if (integer() != nullptr) return "int";
  if (real() != nullptr) return "float";
  if (text() != nullptr) return "str";
  if (dict() != nullptr) return "dict";
  if (space() != nullptr) return "Namespace";
  if (callable() != nullptr) return "function";
  switch (list()->kind) {
    case ListKind::kList:
      return "list";
    case ListKind::kTuple:
      return "tuple";
    case ListKind::kGenerator:
      return "generator";
  }
  return "list";
}

const Value* Dict::find(const Value& key) const {
  if (key.text() != nullptr) return find(key.text()->view);
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const auto& entry) { return same_key(entry.first, key); });
  return found == entries.end() ? nullptr : &found->second;
}

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (name.text() != nullptr && name.text()->view == key) return &value;
  }
  return nullptr;
}

}  // namespace ruvllm::text::jinja
