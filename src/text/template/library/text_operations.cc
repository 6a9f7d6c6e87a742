#include "text/template/library/text_operations.h"

#include "text/template/value/print.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

bool is_letter(char32_t c) { return to_upper(c) != c || to_lower(c) != c; }

bool starts_word(char32_t previous, LetterCase letter_case) {
  if (letter_case == LetterCase::kTitle) return !is_letter(previous);
  return is_space(previous) ||
         std::u32string_view(U"-({[<").find(previous) != std::u32string_view::npos;
}

bool has_character(std::string_view characters, char32_t wanted) {
  for (size_t i = 0; i < characters.size();) {
    const CodePoint next = decode(characters, i);
    if (next.value == wanted) return true;
    i += next.length;
  }
  return false;
}

// The bytes of the line end at `position`, 0 when there is none.
size_t line_end_length(std::string_view text, size_t position) {
  if (text.substr(position).starts_with("\r\n")) return 2;
  const CodePoint c = decode(text, position);
  const bool ends = (c.value >= 0x0A && c.value <= 0x0D) || (c.value >= 0x1C && c.value <= 0x1E) ||
                    c.value == 0x85 || c.value == 0x2028 || c.value == 0x2029;
  return ends ? c.length : 0;
}

}  // namespace

Result<Text> change_case(Heap& heap, const Text& text, LetterCase letter_case) {
  TextBuilder out(heap);
  std::string piece;
  char32_t previous = ' ';
  bool first = true;
  for (size_t i = 0; i < text.view.size();) {
    const CodePoint next = decode(text.view, i);
    bool upper = letter_case == LetterCase::kUpper;
    if (letter_case == LetterCase::kCapitalized) upper = first;
    if (letter_case >= LetterCase::kTitle) upper = starts_word(previous, letter_case);
    if (upper && next.value == 0xDF) {
      piece += letter_case == LetterCase::kUpper ? "SS" : "Ss";
    } else {
      append_utf8(piece, upper ? to_upper(next.value) : to_lower(next.value));
    }
    previous = next.value;
    first = false;
    i += next.length;
    if (piece.size() > 4096) {
      RUVLLM_TRY(out.append(piece));
      piece.clear();
    }
  }
  RUVLLM_TRY(out.append(piece));
  return out.take();
}

Text strip(const Text& text, const std::string_view* characters, bool left, bool right) {
  std::string_view view = text.view;
  if (characters == nullptr) {
    if (left) view = strip_left(view);
    if (right) view = strip_right(view);
    return text.same_owner(view);
  }
  while (left && !view.empty()) {
    const CodePoint first = decode(view, 0);
    if (!has_character(*characters, first.value)) break;
    view.remove_prefix(first.length);
  }
  while (right && !view.empty()) {
    size_t begin = view.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(view[begin]) & 0xC0) == 0x80) --begin;
    const CodePoint last = decode(view, begin);
    if (begin + last.length != view.size() || !has_character(*characters, last.value)) break;
    view.remove_suffix(last.length);
  }
  return text.same_owner(view);
}

Result<Text> replace(Heap& heap, const Text& text, std::string_view from, std::string_view to,
                     int64_t count) {
  TextBuilder out(heap);
  RUVLLM_TRY(heap.spend_bytes(text.view.size()));
  size_t position = 0;
  bool found = false;
  for (; count != 0; --count) {
    size_t next = text.view.find(from, position);
    if (from.empty() && found) {
      // An empty string is found before each character and at the end.
      if (position >= text.view.size()) break;
      next = position + decode(text.view, position).length;
    }
    if (next == std::string_view::npos) break;
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(out.append(text.view.substr(position, next - position)));
    RUVLLM_TRY(out.append(to));
    position = next + from.size();
    found = true;
  }
  if (!found) return text;
  RUVLLM_TRY(out.append(text.view.substr(position)));
  return out.take();
}

Result<List*> split_lines(Heap& heap, const Text& text, bool keep_ends) {
  RUVLLM_TRY(heap.spend_bytes(text.view.size()));
  RUVLLM_ASSIGN(List* const lines, heap.new_list(ListKind::kList));
  size_t begin = 0;
  for (size_t i = 0; i < text.view.size();) {
    const size_t end_length = line_end_length(text.view, i);
    if (end_length == 0) {
      i += decode(text.view, i).length;
      continue;
    }
    RUVLLM_TRY(heap.push(*lines, text.slice(begin, i - begin + (keep_ends ? end_length : 0))));
    i += end_length;
    begin = i;
  }
  if (begin < text.view.size()) {
    RUVLLM_TRY(heap.push(*lines, text.slice(begin, text.view.size() - begin)));
  }
  return lines;
}

Result<Text> join(Heap& heap, const List& items, std::string_view separator, bool strings_only) {
  TextBuilder out(heap);
  RUVLLM_TRY(heap.spend_items(items.items.size()));
  for (size_t i = 0; i < items.items.size(); ++i) {
    if (strings_only && items.items[i].text() == nullptr) {
      return fail(ErrorCode::kInvalidArgument, "join wants strings, and item {} is of type {}", i,
                  items.items[i].type_name());
    }
    if (i > 0) RUVLLM_TRY(out.append(separator));
    RUVLLM_TRY(append_str(out, items.items[i]));
  }
  return out.take();
}

}  // namespace ruvllm::text::jinja
