// Regular expressions of tokenizer.json (Oniguruma's Ruby syntax) as PCRE2 writes them.
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"

namespace ruvllm::text {

// \s, \S, \w and \W as Oniguruma's Unicode has them, scripts without their extensions, $ and ^ at
// line ends. kUnsupported, naming `place`, for what PCRE2 would read in another way.
Result<std::string> translate_regex(std::string_view regex, std::string_view place);

// An expression that matches `text` as it stands.
std::string quote_regex(std::string_view text);

}  // namespace ruvllm::text
