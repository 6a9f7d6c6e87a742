#include "text/template/value/print.h"

#include <array>
#include <charconv>
#include <cmath>

#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

Status append_quoted(TextBuilder& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  RUVLLM_TRY(out.append(quote));
  std::string piece;
  for (size_t i = 0; i < text.size();) {
    const CodePoint next = decode(text, i);
    i += next.length;
    const char32_t c = next.value;
    piece.clear();
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      piece = {'\\', static_cast<char>(c)};
    } else if (c == '\n') {
      piece = "\\n";
    } else if (c == '\r') {
      piece = "\\r";
    } else if (c == '\t') {
      piece = "\\t";
    } else if (is_printable(c)) {
      append_utf8(piece, c);
    } else {
      const auto number = static_cast<uint32_t>(c);
      piece = number < 0x100     ? fmt::format("\\x{:02x}", number)
              : number < 0x10000 ? fmt::format("\\u{:04x}", number)
                                 : fmt::format("\\U{:08x}", number);
    }
    RUVLLM_TRY(out.append(piece));
  }
  RUVLLM_TRY(out.heap().spend_bytes(text.size()));
  return out.append(quote);
}

Status append_list(TextBuilder& out, const List& list, uint32_t depth) {
  if (list.kind == ListKind::kGenerator) return out.append("<generator object>");
  const bool tuple = list.kind == ListKind::kTuple;
  RUVLLM_TRY(out.append(tuple ? '(' : '['));
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) RUVLLM_TRY(out.append(", "));
    RUVLLM_TRY(append_repr(out, list.items[i], depth + 1));
  }
  if (tuple && list.items.size() == 1) RUVLLM_TRY(out.append(','));
  return out.append(tuple ? ')' : ']');
}

Status append_dict(TextBuilder& out, const Dict& dict, uint32_t depth) {
  RUVLLM_TRY(out.append('{'));
  bool first = true;
  for (const auto& [key, value] : dict.entries) {
    if (!std::exchange(first, false)) RUVLLM_TRY(out.append(", "));
    RUVLLM_TRY(append_repr(out, key, depth + 1));
    RUVLLM_TRY(out.append(": "));
    RUVLLM_TRY(append_repr(out, value, depth + 1));
  }
  return out.append('}');
}

}  // namespace

std::string format_float(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                 std::chars_format::scientific);
  const std::string_view written(buffer.data(), static_cast<size_t>(end.ptr - buffer.data()));
  const size_t mark = written.find('e');
  int exponent = 0;
  const size_t exponent_begin = mark + (written[mark + 1] == '+' ? 2 : 1);
  std::from_chars(written.data() + exponent_begin, written.data() + written.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(written);
  std::string digits;
  for (const char c : written.substr(0, mark)) {
    if (c >= '0' && c <= '9') digits.push_back(c);
  }
  const std::string sign = std::signbit(number) ? "-" : "";
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) digits.append(whole + 1 - digits.size(), '0');
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

Status append_str(TextBuilder& out, const Value& value) {
  if (const Text* text = value.text(); text != nullptr) return out.append(text->view);
  if (value.is_undefined()) return {};
  return append_repr(out, value);
}

Status append_repr(TextBuilder& out, const Value& value, uint32_t depth) {
  Heap& heap = out.heap();
  RUVLLM_TRY(heap.admit_depth(depth));
  RUVLLM_TRY(heap.spend());
  if (value.is_undefined()) return out.append("Undefined");
  if (value.is_none()) return out.append("None");
  if (value.boolean() != nullptr) return out.append(*value.boolean() ? "True" : "False");
  if (value.integer() != nullptr) return out.append(fmt::format("{}", *value.integer()));
  if (value.real() != nullptr) return out.append(format_float(*value.real()));
  if (value.text() != nullptr) return append_quoted(out, value.text()->view);
  if (value.list() != nullptr) return append_list(out, *value.list(), depth);
  if (value.dict() != nullptr) return append_dict(out, *value.dict(), depth);
  if (value.space() != nullptr) {
    RUVLLM_TRY(out.append("<Namespace "));
    RUVLLM_TRY(append_dict(out, value.space()->attributes, depth + 1));
    return out.append('>');
  }
  return out.append("<function>");
}

Result<Text> to_text(Heap& heap, const Value& value) {
  if (const Text* text = value.text(); text != nullptr) return *text;
  TextBuilder out(heap);
  RUVLLM_TRY(append_str(out, value));
  return out.take();
}

}  // namespace ruvllm::text::jinja
