// Tokens to syntax tree: recursive descent with Jinja2's grammar and precedence.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/core/error.h"
#include "text/template/syntax/ast.h"

namespace ruvllm::text::jinja {

// Refuses nesting beyond `max_depth`, so that neither this parser nor the evaluator can run out of
// stack.
Result<std::unique_ptr<const Program>> parse_program(std::string_view source, uint32_t max_depth);

}  // namespace ruvllm::text::jinja
