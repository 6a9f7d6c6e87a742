// Filters of numbers and of any value: conversion, defaults, JSON.
#include <charconv>
#include <cmath>
#include <limits>

#include "text/template/library/access.h"
#include "text/template/library/lookup.h"
#include "text/template/library/tables.h"
#include "text/template/value/compare.h"
#include "text/template/value/json.h"
#include "text/template/value/print.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

// float(text) of Python: white space around it, underscores within, inf and nan by name.
bool parse_real(std::string_view text, double* out) {
  std::string digits(strip_right(strip_left(text)));
  std::erase(digits, '_');
  const char* begin = digits.data() + (digits.starts_with('+') ? 1 : 0);
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(begin, end, *out);
  if (parsed.ec == std::errc::result_out_of_range) *out = HUGE_VAL;
  return begin != end && parsed.ec != std::errc::invalid_argument && parsed.ptr == end;
}

bool parse_whole(std::string_view text, int base, int64_t* out) {
  std::string digits(strip_right(strip_left(text)));
  std::erase(digits, '_');
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  const char prefix =
      digits.size() > 2 && digits[0] == '0' ? static_cast<char>(digits[1] | 0x20) : '\0';
  if ((base == 16 && prefix == 'x') || (base == 8 && prefix == 'o') ||
      (base == 2 && prefix == 'b')) {
    digits.erase(0, 2);
  }
  if (negative) digits.insert(digits.begin(), '-');
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, *out, base);
  return !digits.empty() && parsed.ec == std::errc() && parsed.ptr == end;
}

Result<Value> whole_of(double number) {
  if (!(std::fabs(number) < 0x1p63)) {
    return fail(ErrorCode::kInvalidArgument, "{} does not fit an integer of 64 bits", number);
  }
  return Value(static_cast<int64_t>(number));
}

Result<Value> to_integer(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "default", "base"));
  RUVLLM_ASSIGN(const int64_t base, integer_argument(bound[1], 10, "base"));
  if (base < 2 || base > 36) {
    return fail(ErrorCode::kInvalidArgument, "int wants a base from 2 to 36, not {}", base);
  }
  int64_t storage = 0;
  if (const int64_t* integer = as_integer(self, storage); integer != nullptr)
    return Value(*integer);
  if (self.real() != nullptr && std::isfinite(*self.real())) return whole_of(*self.real());
  if (const Text* text = self.text(); text != nullptr) {
    RUVLLM_TRY(heap.spend_bytes(text->view.size()));
    int64_t whole = 0;
    double real = 0;
    if (parse_whole(text->view, static_cast<int>(base), &whole)) return Value(whole);
    if (parse_real(text->view, &real) && std::isfinite(real)) return whole_of(real);
  }
  return bound[0] != nullptr ? *bound[0] : Value(int64_t{0});
}

Result<Value> to_float(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "default"));
  if (is_number(self)) return Value(as_double(self));
  double real = 0;
  if (self.text() != nullptr) {
    RUVLLM_TRY(heap.spend_bytes(self.text()->view.size()));
    if (parse_real(self.text()->view, &real)) return Value(real);
  }
  return bound[0] != nullptr ? *bound[0] : Value(0.0);
}

Result<Value> absolute(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  int64_t storage = 0;
  if (const int64_t* integer = as_integer(self, storage); integer != nullptr) {
    if (*integer == std::numeric_limits<int64_t>::min()) {
      return fail(ErrorCode::kInvalidArgument, "abs({}) does not fit 64 bits", *integer);
    }
    return Value(*integer < 0 ? -*integer : *integer);
  }
  if (self.real() != nullptr) return Value(std::fabs(*self.real()));
  return fail(ErrorCode::kInvalidArgument, "abs wants a number, not {}", self.type_name());
}

Result<Value> round_filter(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "precision", "method"));
  RUVLLM_ASSIGN(const int64_t precision, integer_argument(bound[0], 0, "precision"));
  RUVLLM_ASSIGN(const Text method, text_argument(bound[1], "common", "method"));
  if (!is_number(self) || precision < -300 || precision > 300) {
    return fail(ErrorCode::kInvalidArgument, "round wants a number and a precision of at most 300");
  }
  const double number = as_double(self);
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method.view == "ceil") return Value(std::ceil(number * scale) / scale);
  if (method.view == "floor") return Value(std::floor(number * scale) / scale);
  if (method.view != "common") {
    return fail(ErrorCode::kInvalidArgument, "round knows common, ceil and floor, not '{}'",
                method.view);
  }
  if (self.real() == nullptr && precision >= 0) {
    int64_t storage = 0;
    return Value(*as_integer(self, storage));
  }
  if (!std::isfinite(number)) return Value(number);
  if (precision < 0) {
    const double rounded = std::nearbyint(number * scale) / scale;
    if (self.real() == nullptr) return whole_of(rounded);
    return Value(rounded);
  }
  // Rounding the exact decimal expansion, as Python does: 2.675 is a little less than it looks.
  const std::string digits = fmt::format("{:.{}f}", number, precision);
  double rounded = number;
  std::from_chars(digits.data(), digits.data() + digits.size(), rounded);
  return Value(rounded);
}

Result<Value> length(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  size_t size = 0;
  if (const Text* text = self.text(); text != nullptr) {
    RUVLLM_TRY(heap.spend_bytes(text->view.size()));
    size = count_code_points(text->view);
  } else if (self.list() != nullptr && self.list()->kind != ListKind::kGenerator) {
    size = self.list()->items.size();
  } else if (self.dict() != nullptr) {
    size = self.dict()->entries.size();
  } else if (!self.is_undefined()) {
    return fail(ErrorCode::kInvalidArgument, "a value of type {} has no length", self.type_name());
  }
  return Value(static_cast<int64_t>(size));
}

Result<Value> default_filter(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "default_value", "boolean"));
  const bool missing = self.is_undefined() || (flag_argument(bound[1], false) && !self.truthy());
  if (!missing) return self;
  return bound[0] != nullptr ? *bound[0] : Value::constant("");
}

Result<Value> attr(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "name"));
  RUVLLM_ASSIGN(const Text name, wanted_text(bound[0], "name"));
  // Unlike a dot, this filter never looks at the keys of a dict.
  if (self.dict() != nullptr && find_method(self, name.view) == nullptr) return Value();
  return item_of(heap, self, Value(name));
}

// The signature that Hugging Face gives it; separators is a pair.
Result<Value> tojson(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound,
                bind(arguments, "ensure_ascii", "indent", "separators", "sort_keys"));
  JsonStyle style;
  style.ensure_ascii = flag_argument(bound[0], false);
  style.sort_keys = flag_argument(bound[3], false);
  std::string spaces;
  if (bound[1] != nullptr && bound[1]->text() != nullptr) {
    style.indent = bound[1]->text()->view;
  } else if (bound[1] != nullptr && !bound[1]->is_none()) {
    RUVLLM_ASSIGN(const int64_t width, integer_argument(bound[1], 0, "indent"));
    if (width > 1000)
      return fail(ErrorCode::kInvalidArgument, "tojson wants an indent of at most 1000");
    spaces.assign(width < 0 ? 0 : static_cast<size_t>(width), ' ');
    style.indent = spaces;
  }
  if (style.indent) style.item_separator = ",";
  if (bound[2] != nullptr && !bound[2]->is_none()) {
    const List* pair = bound[2]->list();
    const bool fits = pair != nullptr && pair->items.size() == 2 &&
                      pair->items[0].text() != nullptr && pair->items[1].text() != nullptr;
    if (!fits) return fail(ErrorCode::kInvalidArgument, "tojson wants two separators");
    style.item_separator = pair->items[0].text()->view;
    style.key_separator = pair->items[1].text()->view;
  }
  TextBuilder out(heap);
  RUVLLM_TRY(append_json(out, self, style));
  return Value(out.take());
}

constexpr FunctionEntry kFilters[] = {
    {"tojson", tojson},      {"length", length},  {"count", length},   {"default", default_filter},
    {"d", default_filter},   {"int", to_integer}, {"float", to_float}, {"abs", absolute},
    {"round", round_filter}, {"attr", attr},
};

}  // namespace

std::span<const FunctionEntry> value_filters() { return kFilters; }

}  // namespace ruvllm::text::jinja
