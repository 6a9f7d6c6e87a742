// Completion of commands, options and values in shells.
#pragma once

#include <string>

#include "cli/reference/reference.h"

namespace ruvllm::cli {

std::string render_bash_completion(const ProgramReference& program);
std::string render_zsh_completion(const ProgramReference& program);
std::string render_fish_completion(const ProgramReference& program);

}  // namespace ruvllm::cli
