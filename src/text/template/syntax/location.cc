#include "text/template/syntax/location.h"

#include <algorithm>

#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {

Error locate(std::string_view source, uint32_t offset, Error error) {
  const std::string_view before = source.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const size_t column = 1 + count_code_points(before.substr(line_begin));
  return std::move(error).with_context(
      fmt::format("chat template, line {}, column {}", line, column));
}

}  // namespace ruvllm::text::jinja
