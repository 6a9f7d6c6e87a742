// Methods of strings that give a string, a number or a boolean.
#include <algorithm>

#include "text/template/library/format.h"
#include "text/template/library/lookup.h"
#include "text/template/library/tables.h"
#include "text/template/library/text_operations.h"
#include "text/template/value/compare.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

template <bool left, bool right>
Result<Value> strip_method(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "chars"));
  RUVLLM_TRY(heap.spend_bytes(self.text()->view.size()));
  if (bound[0] == nullptr || bound[0]->is_none()) {
    return Value(strip(*self.text(), nullptr, left, right));
  }
  RUVLLM_ASSIGN(const Text characters, wanted_text(bound[0], "chars"));
  RUVLLM_TRY(heap.spend(characters.view.size() * self.text()->view.size() / 256));
  return Value(strip(*self.text(), &characters.view, left, right));
}

template <LetterCase letter_case>
Result<Value> case_method(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(Text text, change_case(heap, *self.text(), letter_case));
  return Value(std::move(text));
}

template <bool at_end>
bool has_affix(std::string_view text, std::string_view affix) {
  return at_end ? text.ends_with(affix) : text.starts_with(affix);
}

// startswith and endswith: one string or a tuple of them, within [start, end).
template <bool at_end>
Result<Value> affix(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "affix", "start", "end"));
  std::string_view text = self.text()->view;
  if (bound[1] != nullptr || bound[2] != nullptr) {
    const auto size = static_cast<int64_t>(count_code_points(text));
    RUVLLM_ASSIGN(int64_t start, integer_argument(bound[1], 0, "start"));
    RUVLLM_ASSIGN(int64_t end, integer_argument(bound[2], size, "end"));
    start = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size);
    end = std::clamp<int64_t>(end < 0 ? end + size : end, start, size);
    text = text.substr(0, byte_offset(text, static_cast<size_t>(end)));
    text.remove_prefix(byte_offset(text, static_cast<size_t>(start)));
  }
  if (bound[0] != nullptr && bound[0]->list() != nullptr) {
    for (const Value& item : bound[0]->list()->items) {
      RUVLLM_TRY(heap.spend());
      RUVLLM_ASSIGN(const Text one, wanted_text(&item, "affix"));
      if (has_affix<at_end>(text, one.view)) return Value(true);
    }
    return Value(false);
  }
  RUVLLM_ASSIGN(const Text one, wanted_text(bound[0], "affix"));
  return Value(has_affix<at_end>(text, one.view));
}

template <bool at_end>
Result<Value> remove_affix(Heap& /*heap*/, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "affix"));
  RUVLLM_ASSIGN(const Text one, wanted_text(bound[0], "affix"));
  std::string_view text = self.text()->view;
  if (!has_affix<at_end>(text, one.view)) return self;
  if (at_end) {
    text.remove_suffix(one.view.size());
  } else {
    text.remove_prefix(one.view.size());
  }
  return Value(self.text()->same_owner(text));
}

Result<Value> replace_method(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "old", "new", "count"));
  RUVLLM_ASSIGN(const Text from, wanted_text(bound[0], "old"));
  RUVLLM_ASSIGN(const Text to, wanted_text(bound[1], "new"));
  RUVLLM_ASSIGN(const int64_t count, integer_argument(bound[2], -1, "count"));
  RUVLLM_ASSIGN(Text text, replace(heap, *self.text(), from.view, to.view, count));
  return Value(std::move(text));
}

// find and rfind; index and rindex fail where nothing is found.
template <bool from_right, bool must_find>
Result<Value> find_method_of(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "sub", "start"));
  RUVLLM_ASSIGN(const Text wanted, wanted_text(bound[0], "sub"));
  RUVLLM_ASSIGN(int64_t start, integer_argument(bound[1], 0, "start"));
  const std::string_view text = self.text()->view;
  RUVLLM_TRY(heap.spend_bytes(text.size()));
  const auto size = static_cast<int64_t>(count_code_points(text));
  start = std::max<int64_t>(start < 0 ? start + size : start, 0);
  const size_t begin = byte_offset(text, static_cast<size_t>(start));
  size_t found = start > size ? std::string_view::npos
                 : from_right ? text.rfind(wanted.view)
                              : text.find(wanted.view, begin);
  if (from_right && found != std::string_view::npos && found < begin)
    found = std::string_view::npos;
  if (found != std::string_view::npos) {
    return Value(static_cast<int64_t>(count_code_points(text.substr(0, found))));
  }
  if (must_find) return fail(ErrorCode::kInvalidArgument, "the substring is not found");
  return Value(int64_t{-1});
}

Result<Value> count(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "sub"));
  RUVLLM_ASSIGN(const Text wanted, wanted_text(bound[0], "sub"));
  const std::string_view text = self.text()->view;
  RUVLLM_TRY(heap.spend_bytes(text.size()));
  if (wanted.view.empty()) return Value(static_cast<int64_t>(count_code_points(text) + 1));
  int64_t found = 0;
  for (size_t i = 0; (i = text.find(wanted.view, i)) != std::string_view::npos;
       i += wanted.view.size()) {
    ++found;
  }
  return Value(found);
}

template <bool (*predicate)(char32_t)>
Result<Value> all_characters(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  const std::string_view text = self.text()->view;
  RUVLLM_TRY(heap.spend_bytes(text.size()));
  for (size_t i = 0; i < text.size();) {
    const CodePoint next = decode(text, i);
    if (!predicate(next.value)) return Value(false);
    i += next.length;
  }
  return Value(!text.empty());
}

bool is_ascii_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_alphabetic(char32_t c) {
  return to_upper(c) != c || to_lower(c) != c || (c >= 0x2C00 && c < 0xD800 && is_printable(c));
}
bool is_alphanumeric(char32_t c) { return is_ascii_digit(c) || is_alphabetic(c); }

template <bool upper>
Result<Value> is_case(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const bool holds, find_test(upper ? "upper" : "lower")(heap, self, arguments));
  return Value(holds);
}

Result<Value> format_method(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(Text text, format_braces(heap, self.text()->view, arguments));
  return Value(std::move(text));
}

// ljust, rjust, center and zfill: `left` is the share of the padding that goes before the text.
enum class Padding : uint8_t { kBefore, kAfter, kBoth, kZeros };

template <Padding padding>
Result<Value> pad(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "width", "fillchar"));
  RUVLLM_ASSIGN(const int64_t width, integer_argument(bound[0], 0, "width"));
  RUVLLM_ASSIGN(const Text fill,
                text_argument(bound[1], padding == Padding::kZeros ? "0" : " ", "fillchar"));
  if (count_code_points(fill.view) != 1) {
    return fail(ErrorCode::kInvalidArgument, "the fill must be one character");
  }
  std::string_view text = self.text()->view;
  const auto length = static_cast<int64_t>(count_code_points(text));
  const int64_t total = std::max<int64_t>(width - length, 0);
  if (total == 0) return self;
  int64_t left = padding == Padding::kAfter ? 0 : total;
  if (padding == Padding::kBoth) left = total / 2 + (total & width & 1);
  TextBuilder out(heap);
  if (padding == Padding::kZeros && (text.starts_with('-') || text.starts_with('+'))) {
    RUVLLM_TRY(out.append(text.front()));
    text.remove_prefix(1);
  }
  RUVLLM_TRY(out.append_repeated(fill.view, static_cast<uint64_t>(left)));
  RUVLLM_TRY(out.append(text));
  RUVLLM_TRY(out.append_repeated(fill.view, static_cast<uint64_t>(total - left)));
  return Value(out.take());
}

constexpr FunctionEntry kMethods[] = {
    {"strip", strip_method<true, true>},
    {"lstrip", strip_method<true, false>},
    {"rstrip", strip_method<false, true>},
    {"upper", case_method<LetterCase::kUpper>},
    {"lower", case_method<LetterCase::kLower>},
    {"casefold", case_method<LetterCase::kLower>},
    {"capitalize", case_method<LetterCase::kCapitalized>},
    {"title", case_method<LetterCase::kTitle>},
    {"startswith", affix<false>},
    {"endswith", affix<true>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace_method},
    {"find", find_method_of<false, false>},
    {"rfind", find_method_of<true, false>},
    {"index", find_method_of<false, true>},
    {"rindex", find_method_of<true, true>},
    {"count", count},
    {"isdigit", all_characters<is_ascii_digit>},
    {"isdecimal", all_characters<is_ascii_digit>},
    {"isnumeric", all_characters<is_ascii_digit>},
    {"isspace", all_characters<is_space>},
    {"isalpha", all_characters<is_alphabetic>},
    {"isalnum", all_characters<is_alphanumeric>},
    {"isupper", is_case<true>},
    {"islower", is_case<false>},
    {"format", format_method},
    {"ljust", pad<Padding::kAfter>},
    {"rjust", pad<Padding::kBefore>},
    {"center", pad<Padding::kBoth>},
    {"zfill", pad<Padding::kZeros>},
};

}  // namespace

std::span<const FunctionEntry> text_methods() { return kMethods; }

}  // namespace ruvllm::text::jinja
