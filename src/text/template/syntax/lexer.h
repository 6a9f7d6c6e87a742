// Template source to tokens, with Jinja2's whitespace control (trim_blocks and lstrip_blocks on).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::text::jinja {

enum class TokenKind : uint8_t {
  kData,           // text between tags
  kVariableBegin,  // {{
  kVariableEnd,    // }}
  kBlockBegin,     // {%
  kBlockEnd,       // %}
  kName,
  kString,  // text without its quotes, escapes not yet replaced
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  uint32_t offset = 0;    // in the source, for messages
  std::string_view text;  // points into the source
};

// Line ends become \n, and one at the end of the source is dropped, as Jinja2 does.
std::string normalize_source(std::string_view source);

// `source` as normalize_source gives it; the tokens point into it. The last token is kEnd.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace ruvllm::text::jinja
