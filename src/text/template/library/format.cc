#include "text/template/library/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "text/template/library/access.h"
#include "text/template/value/compare.h"
#include "text/template/value/print.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

constexpr uint32_t kMaxWidth = 100'000;
constexpr uint32_t kMaxPrecision = 300;

struct Field {
  char32_t fill = ' ';
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  bool grouped = false;
  uint32_t width = 0;
  std::optional<uint32_t> precision;
  char type = '\0';
};

Result<uint32_t> parse_count(std::string_view text, size_t& position, uint32_t limit) {
  uint32_t count = 0;
  const auto parsed = std::from_chars(text.data() + position, text.data() + text.size(), count);
  position = static_cast<size_t>(parsed.ptr - text.data());
  if (parsed.ec == std::errc::result_out_of_range || count > limit) {
    return fail(ErrorCode::kResourceExhausted, "a width or precision in a format is over {}",
                limit);
  }
  return count;
}

// [width][.precision], which both kinds of format share.
Status parse_size(std::string_view text, size_t& i, Field& field) {
  RUVLLM_ASSIGN(field.width, parse_count(text, i, kMaxWidth));
  if (i < text.size() && text[i] == ',') {
    field.grouped = true;
    ++i;
  }
  if (i < text.size() && text[i] == '.') {
    ++i;
    RUVLLM_ASSIGN(field.precision, parse_count(text, i, kMaxPrecision));
  }
  return {};
}

std::string group_digits(std::string digits) {
  const size_t end = std::min(digits.find_first_of(".e"), digits.size());
  for (size_t i = end; i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

// The digits of a number without its sign.
Result<std::string> format_digits(const Value& value, const Field& field, bool* negative) {
  int64_t storage = 0;
  const bool real_type =
      std::string_view("eEfFgG%").find(field.type) != std::string_view::npos && field.type != '\0';
  const int64_t* integer = as_integer(value, storage);
  if (integer != nullptr && !real_type) {
    *negative = *integer < 0;
    const uint64_t size =
        *negative ? 0 - static_cast<uint64_t>(*integer) : static_cast<uint64_t>(*integer);
    switch (field.type) {
      case 'x':
        return fmt::format("{}{:x}", field.alternate ? "0x" : "", size);
      case 'X':
        return fmt::format("{}{:X}", field.alternate ? "0X" : "", size);
      case 'o':
        return fmt::format("{}{:o}", field.alternate ? "0o" : "", size);
      case 'b':
        return fmt::format("{}{:b}", field.alternate ? "0b" : "", size);
      default:
        return fmt::format("{}", size);
    }
  }
  const double number = as_double(value);
  *negative = std::signbit(number) && !std::isnan(number);
  const double size = std::fabs(number);
  const int precision = static_cast<int>(field.precision.value_or(6));
  switch (field.type) {
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", size, precision);
    case 'e':
      return fmt::format("{:.{}e}", size, precision);
    case 'E':
      return fmt::format("{:.{}E}", size, precision);
    case 'g':
      return fmt::format("{:.{}g}", size, std::max(precision, 1));
    case 'G':
      return fmt::format("{:.{}G}", size, std::max(precision, 1));
    case '%':
      return fmt::format("{:.{}f}%", size * 100, precision);
    case '\0':
      return field.precision ? fmt::format("{:.{}g}", size, std::max(precision, 1))
                             : format_float(size);
    default:
      break;
  }
  return fail(ErrorCode::kInvalidArgument, "the format '{}' does not fit a {}", field.type,
              value.type_name());
}

Status append_padded(TextBuilder& out, std::string_view prefix, std::string_view text,
                     const Field& field, char default_align) {
  const size_t size = count_code_points(prefix) + count_code_points(text);
  const uint64_t padding = field.width > size ? field.width - size : 0;
  const char align = field.align == '\0' ? default_align : field.align;
  std::string fill;
  append_utf8(fill, field.fill);
  const uint64_t left = align == '>' ? padding : align == '^' ? padding / 2 : 0;
  const uint64_t middle = align == '=' ? padding : 0;
  RUVLLM_TRY(out.append_repeated(fill, left));
  RUVLLM_TRY(out.append(prefix));
  RUVLLM_TRY(out.append_repeated(fill, middle));
  RUVLLM_TRY(out.append(text));
  return out.append_repeated(fill, padding - left - middle);
}

Status append_field(TextBuilder& out, const Value& value, const Field& field, char text_align) {
  const bool as_text =
      field.type == 's' || !is_number(value) || (field.type == '\0' && value.boolean() != nullptr);
  if (as_text) {
    if (field.type != 's' && field.type != '\0') {
      return fail(ErrorCode::kInvalidArgument, "the format '{}' wants a number, not {}", field.type,
                  value.type_name());
    }
    RUVLLM_ASSIGN(const Text text, to_text(out.heap(), value));
    const size_t length = byte_offset(text.view, field.precision.value_or(UINT32_MAX));
    return append_padded(out, "", text.view.substr(0, length), field, text_align);
  }
  bool negative = false;
  RUVLLM_ASSIGN(std::string digits, format_digits(value, field, &negative));
  if (field.grouped) digits = group_digits(std::move(digits));
  const std::string_view sign = negative            ? "-"
                                : field.sign == '+' ? "+"
                                : field.sign == ' ' ? " "
                                                    : "";
  return append_padded(out, sign, digits, field, '>');
}

Result<Field> parse_specification(std::string_view text) {
  Field field;
  size_t i = 0;
  static constexpr std::string_view kAligns = "<>^=";
  const auto is_align = [&](size_t at) {
    return at < text.size() && kAligns.find(text[at]) != std::string_view::npos;
  };
  if (!text.empty()) {
    const CodePoint first = decode(text, 0);
    if (is_align(first.length)) {
      field.fill = first.value;
      field.align = text[first.length];
      i = first.length + 1;
    } else if (is_align(0)) {
      field.align = text[i++];
    }
  }
  if (i < text.size() && (text[i] == '+' || text[i] == '-' || text[i] == ' '))
    field.sign = text[i++];
  if (i < text.size() && text[i] == '#') field.alternate = ++i > 0;
  if (i < text.size() && text[i] == '0') {
    ++i;
    if (field.align == '\0') field.align = '=';
    if (field.fill == ' ') field.fill = '0';
  }
  RUVLLM_TRY(parse_size(text, i, field));
  if (i < text.size()) field.type = text[i++];
  if (field.type == 'd' || field.type == 'n') field.type = 'd';
  const bool known = field.type == '\0' ||
                     std::string_view("sdxXobeEfFgG%").find(field.type) != std::string_view::npos;
  if (i < text.size() || !known) {
    return fail(ErrorCode::kInvalidArgument, "'{}' is no format that is known here",
                text.substr(0, 40));
  }
  return field;
}

// The value that the field name of a {} field means: "", "0", "name", "name.attribute", "0[key]".
Result<Value> find_field(Heap& heap, std::string_view name, const Arguments& arguments,
                         size_t& next_index) {
  const size_t base_end = std::min(name.find_first_of(".["), name.size());
  const std::string_view base = name.substr(0, base_end);
  size_t index = next_index;
  const auto parsed = std::from_chars(base.data(), base.data() + base.size(), index);
  const bool positional =
      base.empty() || (parsed.ec == std::errc() && parsed.ptr == base.data() + base.size());
  Value value;
  if (positional) {
    if (base.empty()) ++next_index;
    if (index >= arguments.positional.size()) {
      return fail(ErrorCode::kInvalidArgument, "format has no argument {}", index);
    }
    value = arguments.positional[index];
  } else {
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& named) { return named.first == base; });
    if (found == arguments.named.end()) {
      return fail(ErrorCode::kInvalidArgument, "format has no argument '{}'", base.substr(0, 40));
    }
    value = found->second;
  }
  for (std::string_view rest = name.substr(base_end); !rest.empty();) {
    const bool bracket = rest.front() == '[';
    const size_t end =
        bracket ? rest.find(']') : std::min(rest.find_first_of(".[", 1), rest.size());
    if (end == std::string_view::npos) {
      return fail(ErrorCode::kInvalidArgument, "a [ in a format is not closed");
    }
    RUVLLM_ASSIGN(const Text part, heap.text(rest.substr(1, end - 1)));
    RUVLLM_ASSIGN(value, item_by_path(heap, value, Value(part)));
    rest.remove_prefix(end + (bracket ? 1 : 0));
  }
  return value;
}

// The field behind the % before `i`, which moves behind it.
Result<Field> parse_percent(std::string_view format, size_t& i) {
  Field field;
  for (; i < format.size() && std::string_view("-0+ #").find(format[i]) != std::string_view::npos;
       ++i) {
    switch (format[i]) {
      case '-':
        field.align = '<';
        break;
      case '0':
        field.fill = '0';
        break;
      case '#':
        field.alternate = true;
        break;
      default:
        field.sign = format[i];
    }
  }
  if (field.fill == '0' && field.align == '\0') field.align = '=';
  if (field.align == '<') field.fill = ' ';
  RUVLLM_TRY(parse_size(format, i, field));
  field.type = i < format.size() ? format[i++] : '\0';
  if (field.type == 'i' || field.type == 'u') field.type = 'd';
  if (field.type == '\0' ||
      std::string_view("%srdxXoeEfFgG").find(field.type) == std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "'%{}' is no format that is known here",
                std::string_view(&field.type, field.type == '\0' ? 0 : 1));
  }
  return field;
}

Result<Value> quoted(Heap& heap, const Value& value) {
  TextBuilder text(heap);
  RUVLLM_TRY(append_repr(text, value));
  return Value(text.take());
}

Status append_percent(TextBuilder& out, Value value, Field field) {
  if (field.type == 'd' && value.real() != nullptr && std::fabs(*value.real()) < 9e18) {
    value = Value(static_cast<int64_t>(*value.real()));
  }
  if (field.type == 'r') {
    RUVLLM_ASSIGN(value, quoted(out.heap(), value));
    field.type = 's';
  }
  if (field.type == 's' && field.align == '=') field.align = '>';
  return append_field(out, value, field, '>');
}

}  // namespace

Result<Text> format_percent(Heap& heap, std::string_view format, const std::vector<Value>& values) {
  TextBuilder out(heap);
  size_t used = 0;
  for (size_t i = 0; i < format.size();) {
    const size_t mark = std::min(format.find('%', i), format.size());
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(out.append(format.substr(i, mark - i)));
    if (mark == format.size()) break;
    i = mark + 1;
    RUVLLM_ASSIGN(const Field field, parse_percent(format, i));
    if (field.type == '%') {
      RUVLLM_TRY(out.append('%'));
      continue;
    }
    if (used >= values.size()) {
      return fail(ErrorCode::kInvalidArgument, "the format wants more than {} values",
                  values.size());
    }
    RUVLLM_TRY(append_percent(out, values[used++], field));
  }
  if (used < values.size()) {
    return fail(ErrorCode::kInvalidArgument, "the format takes {} values and got {}", used,
                values.size());
  }
  return out.take();
}

Result<Text> format_braces(Heap& heap, std::string_view format, const Arguments& arguments) {
  TextBuilder out(heap);
  size_t next_index = 0;
  for (size_t i = 0; i < format.size();) {
    const size_t mark = std::min(format.find_first_of("{}", i), format.size());
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(out.append(format.substr(i, mark - i)));
    if (mark == format.size()) break;
    if (format.substr(mark + 1).starts_with(format[mark])) {
      RUVLLM_TRY(out.append(format[mark]));
      i = mark + 2;
      continue;
    }
    const size_t end = format.find('}', mark);
    if (format[mark] == '}' || end == std::string_view::npos) {
      return fail(ErrorCode::kInvalidArgument, "a single '{}' in a format; write it twice",
                  format[mark]);
    }
    const std::string_view field_text = format.substr(mark + 1, end - mark - 1);
    const size_t colon = std::min(field_text.find(':'), field_text.size());
    std::string_view name = field_text.substr(0, colon);
    const bool quotes = name.ends_with("!r");
    if (quotes || name.ends_with("!s")) name.remove_suffix(2);
    RUVLLM_ASSIGN(Value value, find_field(heap, name, arguments, next_index));
    if (quotes) {
      RUVLLM_ASSIGN(value, quoted(heap, value));
    }
    RUVLLM_ASSIGN(const Field field,
                  parse_specification(field_text.substr(std::min(colon + 1, field_text.size()))));
    RUVLLM_TRY(append_field(out, value, field, '<'));
    i = end + 1;
  }
  return out.take();
}

}  // namespace ruvllm::text::jinja
