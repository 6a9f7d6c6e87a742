#include "text/tokenizer/json/json_fields.h"

#include <nlohmann/json.hpp>

namespace ruvllm::text {
namespace {

std::unexpected<Error> wrong_type(const JsonField& field, std::string_view expected) {
  return fail(ErrorCode::kCorrupt, "{} is {}, expected {}", field.place, field.value.type_name(),
              expected);
}

}  // namespace

std::optional<JsonField> JsonField::find(std::string_view key) const {
  if (!value.is_object()) return std::nullopt;
  const auto member = value.find(key);
  if (member == value.end() || member->is_null()) return std::nullopt;
  return JsonField{*member, place + (place.ends_with(' ') ? "" : ".") + std::string(key)};
}

Result<JsonField> JsonField::require(std::string_view key) const {
  RUVLLM_TRY(expect_object());
  const auto member = find(key);
  if (!member) return fail(ErrorCode::kCorrupt, "{}: '{}' is missing", place, key);
  return *member;
}

JsonField JsonField::element(size_t index) const {
  return {value[index], fmt::format("{}[{}]", place, index)};
}

Result<std::string> JsonField::as_string() const {
  if (!value.is_string()) return wrong_type(*this, "a string");
  return value.get_ref<const std::string&>();
}

Result<int64_t> JsonField::as_integer() const {
  if (!value.is_number_integer()) return wrong_type(*this, "an integer");
  return value.get<int64_t>();
}

Result<double> JsonField::as_number() const {
  if (!value.is_number()) return wrong_type(*this, "a number");
  return value.get<double>();
}

Status JsonField::expect_array() const {
  if (!value.is_array()) return wrong_type(*this, "an array");
  return {};
}

Status JsonField::expect_object() const {
  if (!value.is_object()) return wrong_type(*this, "an object");
  return {};
}

Result<bool> JsonField::get_bool(std::string_view key, bool otherwise) const {
  const auto member = find(key);
  if (!member) return otherwise;
  if (!member->value.is_boolean()) return wrong_type(*member, "true or false");
  return member->value.get<bool>();
}

Result<std::string> JsonField::get_string(std::string_view key, std::string_view otherwise) const {
  const auto member = find(key);
  if (!member) return std::string(otherwise);
  return member->as_string();
}

Result<std::string> JsonField::type() const {
  RUVLLM_ASSIGN(const JsonField member, require("type"));
  return member.as_string();
}

}  // namespace ruvllm::text
