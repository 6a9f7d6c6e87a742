// How an answer is made: one table of parameters serves the flags of `run` and the chat's /set.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "cli/options/argument_parser.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {

struct GenerationOptions {
  SamplingParams sampling;
  uint32_t max_tokens = 0;  // 0: until the context is full
  uint32_t num_choices = 1;
  std::vector<std::string> stop;
  bool ignore_end = false;
};

void add_generation_flags(CommandParser& command, GenerationOptions& options);

// "temp", "top_k" and so on, as in /set; '-' and '_' are the same. Errors name the parameter and
// its range.
Status set_parameter(GenerationOptions& options, std::string_view name, std::string_view value);

// Name and present value of every parameter that set_parameter knows.
std::vector<std::pair<std::string, std::string>> list_parameters(const GenerationOptions& options);

GenerationRequest make_request(const GenerationOptions& options, std::vector<TokenId> prompt);

}  // namespace ruvllm::cli
