#include "text/template/syntax/literal.h"

#include <algorithm>
#include <charconv>

#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

std::string without_underscores(std::string_view literal) {
  std::string digits(literal);
  std::erase(digits, '_');
  return digits;
}

// The code point of \x, \u or \U at `position`, which moves behind it. A high surrogate takes the
// low one that follows.
Result<char32_t> parse_hex_escape(std::string_view literal, size_t& position, char kind) {
  const size_t length = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
  const std::string_view digits = literal.substr(std::min(position, literal.size()), length);
  uint32_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() != length || parsed.ptr != digits.data() + length || value > 0x10FFFF) {
    return fail(ErrorCode::kInvalidArgument, "a \\{} escape wants {} hexadecimal digits", kind,
                length);
  }
  position += length;
  if (value >= 0xD800 && value < 0xDC00 && literal.substr(position).starts_with("\\u")) {
    size_t after = position + 2;
    RUVLLM_ASSIGN(const char32_t low, parse_hex_escape(literal, after, 'u'));
    if (low >= 0xDC00 && low < 0xE000) {
      position = after;
      return 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
    }
  }
  if (value >= 0xD800 && value < 0xE000) {
    return fail(ErrorCode::kInvalidArgument, "\\{}{} is half of a character", kind, digits);
  }
  return value;
}

char32_t parse_octal_escape(std::string_view literal, size_t& position) {
  uint32_t value = 0;
  for (int i = 0; i < 3 && position < literal.size(); ++i, ++position) {
    if (literal[position] < '0' || literal[position] > '7') break;
    value = value * 8 + static_cast<uint32_t>(literal[position] - '0');
  }
  return value;
}

}  // namespace

Result<std::string> unescape(std::string_view literal) {
  static constexpr std::string_view kNames = "abfnrtv\\'\"";
  static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
  std::string out;
  out.reserve(literal.size());
  for (size_t i = 0; i < literal.size();) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      out.push_back(literal[i++]);
      continue;
    }
    const char kind = literal[i + 1];
    i += 2;
    if (const size_t known = kNames.find(kind); known != std::string_view::npos) {
      out.push_back(kValues[known]);
    } else if (kind == 'x' || kind == 'u' || kind == 'U') {
      RUVLLM_ASSIGN(const char32_t code_point, parse_hex_escape(literal, i, kind));
      append_utf8(out, code_point);
    } else if (kind >= '0' && kind <= '7') {
      --i;
      append_utf8(out, parse_octal_escape(literal, i));
    } else if (kind != '\n') {  // an escaped line end joins two lines
      out.push_back('\\');
      out.push_back(kind);
    }
  }
  return out;
}

Result<Value> parse_integer(std::string_view literal) {
  const std::string digits = without_underscores(literal);
  const char prefix = digits.size() > 2 ? static_cast<char>(digits[1] | 0x20) : '\0';
  const int base = digits[0] != '0' ? 10
                   : prefix == 'x'  ? 16
                   : prefix == 'o'  ? 8
                   : prefix == 'b'  ? 2
                                    : 10;
  const char* begin = digits.data() + (base == 10 ? 0 : 2);
  const char* end = digits.data() + digits.size();
  int64_t value = 0;
  const auto parsed = std::from_chars(begin, end, value, base);
  if (parsed.ec == std::errc::result_out_of_range) {
    return fail(ErrorCode::kInvalidArgument, "the integer {} does not fit 64 bits", literal);
  }
  if (parsed.ptr != end || begin == end) {
    return fail(ErrorCode::kInvalidArgument, "{} is no number", literal);
  }
  return Value(value);
}

Result<Value> parse_float(std::string_view literal) {
  const std::string digits = without_underscores(literal);
  double value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
    return fail(ErrorCode::kInvalidArgument, "the number {} does not fit 64 bits", literal);
  }
  return Value(value);
}

}  // namespace ruvllm::text::jinja
