// String and number literals of the template language.
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

// Replaces Python's escapes: \n, \xhh, \uhhhh, \Uhhhhhhhh, \ooo, ...; unknown ones stay as they
// are.
Result<std::string> unescape(std::string_view literal);
// Decimal with underscores, or with the prefix 0x, 0o or 0b.
Result<Value> parse_integer(std::string_view literal);
Result<Value> parse_float(std::string_view literal);

}  // namespace ruvllm::text::jinja
