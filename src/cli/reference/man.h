// The manual page ruvllm(1).
#pragma once

#include <string>
#include <string_view>

#include "cli/reference/reference.h"

namespace ruvllm::cli {

// In the man(7) language. `version` goes to the footer of the page.
std::string render_man_page(const ProgramReference& program, std::string_view version);

}  // namespace ruvllm::cli
