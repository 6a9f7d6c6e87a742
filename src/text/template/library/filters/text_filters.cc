// Filters of strings.
#include <algorithm>
#include <cctype>

#include "text/template/library/format.h"
#include "text/template/library/tables.h"
#include "text/template/library/text_operations.h"
#include "text/template/value/compare.h"
#include "text/template/value/print.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

template <LetterCase letter_case>
Result<Value> case_filter(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  RUVLLM_ASSIGN(Text out, change_case(heap, text, letter_case));
  return Value(std::move(out));
}

Result<Value> trim(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "chars"));
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  RUVLLM_TRY(heap.spend_bytes(text.view.size()));
  if (bound[0] == nullptr || bound[0]->is_none()) return Value(strip(text, nullptr, true, true));
  RUVLLM_ASSIGN(const Text characters, wanted_text(bound[0], "chars"));
  return Value(strip(text, &characters.view, true, true));
}

Result<Value> replace_filter(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "old", "new", "count"));
  if (bound[0] == nullptr || bound[1] == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "replace wants the old and the new text");
  }
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  RUVLLM_ASSIGN(const Text from, to_text(heap, *bound[0]));
  RUVLLM_ASSIGN(const Text to, to_text(heap, *bound[1]));
  RUVLLM_ASSIGN(const int64_t count, integer_argument(bound[2], -1, "count"));
  RUVLLM_ASSIGN(Text out, replace(heap, text, from.view, to.view, count));
  return Value(std::move(out));
}

// The text of one level of indentation: a string, or that many spaces.
Result<Text> indentation(Heap& heap, const Value* width, int64_t fallback) {
  if (width != nullptr && width->text() != nullptr) return *width->text();
  RUVLLM_ASSIGN(const int64_t spaces, integer_argument(width, fallback, "width"));
  TextBuilder out(heap);
  RUVLLM_TRY(out.append_repeated(" ", static_cast<uint64_t>(std::max<int64_t>(spaces, 0))));
  return out.take();
}

Result<Value> indent(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "width", "first", "blank"));
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  RUVLLM_ASSIGN(const Text margin, indentation(heap, bound[0], 4));
  const bool first = flag_argument(bound[1], false);
  const bool blank = flag_argument(bound[2], false);
  RUVLLM_ASSIGN(const List* const lines, split_lines(heap, text, false));
  TextBuilder out(heap);
  for (size_t i = 0; i < lines->items.size(); ++i) {
    const std::string_view line = lines->items[i].text()->view;
    if (i > 0) RUVLLM_TRY(out.append('\n'));
    if (i == 0 ? first : blank || !line.empty()) RUVLLM_TRY(out.append(margin.view));
    RUVLLM_TRY(out.append(line));
  }
  // A line end at the very end starts one more, empty line.
  const bool open = text.view.ends_with('\n') || text.view.ends_with('\r');
  if (open) RUVLLM_TRY(out.append('\n'));
  if ((open && blank) || (lines->items.empty() && first)) RUVLLM_TRY(out.append(margin.view));
  return Value(out.take());
}

Result<Value> escape(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  TextBuilder out(heap);
  for (size_t begin = 0; begin < text.view.size();) {
    const size_t end = std::min(text.view.find_first_of("&<>'\"", begin), text.view.size());
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(out.append(text.view.substr(begin, end - begin)));
    if (end == text.view.size()) break;
    const char c = text.view[end];
    RUVLLM_TRY(out.append(c == '&'   ? "&amp;"
                          : c == '<' ? "&lt;"
                          : c == '>' ? "&gt;"
                          : c == '"' ? "&#34;"
                                     : "&#39;"));
    begin = end + 1;
  }
  return Value(out.take());
}

// Also `safe`. Jinja2 would escape plain strings that are added to a safe one, even with autoescape
// off; in a prompt that is never meant, so nothing is escaped here unless the template asks for it.
Result<Value> to_string(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(Text text, to_text(heap, self));
  return Value(std::move(text));
}

Result<Value> format_filter(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  RUVLLM_ASSIGN(Text out, format_percent(heap, text.view, arguments.positional));
  return Value(std::move(out));
}

Result<Value> center(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "width"));
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  RUVLLM_ASSIGN(const int64_t width, integer_argument(bound[0], 80, "width"));
  const auto length = static_cast<int64_t>(count_code_points(text.view));
  if (width <= length) return Value(text);
  const int64_t padding = width - length;
  const int64_t left = padding / 2 + (padding & width & 1);
  TextBuilder out(heap);
  RUVLLM_TRY(out.append_repeated(" ", static_cast<uint64_t>(left)));
  RUVLLM_TRY(out.append(text.view));
  RUVLLM_TRY(out.append_repeated(" ", static_cast<uint64_t>(padding - left)));
  return Value(out.take());
}

Result<Value> truncate(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "length", "killwords", "end", "leeway"));
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  RUVLLM_ASSIGN(const int64_t length, integer_argument(bound[0], 255, "length"));
  RUVLLM_ASSIGN(const Text end, text_argument(bound[2], "...", "end"));
  RUVLLM_ASSIGN(const int64_t leeway, integer_argument(bound[3], 5, "leeway"));
  const auto end_length = static_cast<int64_t>(count_code_points(end.view));
  if (length < end_length || leeway < 0) {
    return fail(ErrorCode::kInvalidArgument, "truncate wants a length of at least {}, not {}",
                end_length, length);
  }
  const auto size = static_cast<int64_t>(count_code_points(text.view));
  if (size - length <= leeway) return Value(text);
  const size_t cut = byte_offset(text.view, static_cast<size_t>(length - end_length));
  std::string_view kept = text.view.substr(0, cut);
  if (!flag_argument(bound[1], false)) kept = kept.substr(0, kept.rfind(' '));
  TextBuilder out(heap);
  RUVLLM_TRY(out.append(kept));
  RUVLLM_TRY(out.append(end.view));
  return Value(out.take());
}

Result<Value> urlencode(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  TextBuilder out(heap);
  for (const char c : text.view) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("_.-~/").find(c) != std::string_view::npos;
    RUVLLM_TRY(plain ? out.append(c)
                     : out.append(fmt::format("%{:02X}", static_cast<unsigned char>(c))));
  }
  RUVLLM_TRY(heap.spend_items(text.view.size()));
  return Value(out.take());
}

Result<Value> wordcount(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const Text text, to_text(heap, self));
  RUVLLM_TRY(heap.spend_bytes(text.view.size()));
  int64_t words = 0;
  bool inside = false;
  for (size_t i = 0; i < text.view.size();) {
    const CodePoint next = decode(text.view, i);
    const bool letter = !is_space(next.value) && (next.value >= 0x80 || next.value == '_' ||
                                                  std::isalnum(static_cast<int>(next.value)) != 0);
    words += letter && !inside ? 1 : 0;
    inside = letter;
    i += next.length;
  }
  return Value(words);
}

constexpr FunctionEntry kFilters[] = {
    {"upper", case_filter<LetterCase::kUpper>},
    {"lower", case_filter<LetterCase::kLower>},
    {"capitalize", case_filter<LetterCase::kCapitalized>},
    {"title", case_filter<LetterCase::kTitleFilter>},
    {"trim", trim},
    {"replace", replace_filter},
    {"indent", indent},
    {"escape", escape},
    {"e", escape},
    {"forceescape", escape},
    {"safe", to_string},
    {"string", to_string},
    {"format", format_filter},
    {"center", center},
    {"truncate", truncate},
    {"urlencode", urlencode},
    {"wordcount", wordcount},
};

}  // namespace

std::span<const FunctionEntry> text_filters() { return kFilters; }

}  // namespace ruvllm::text::jinja
