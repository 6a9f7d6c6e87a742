// Conversation at a terminal.
#pragma once

#include <string>

#include "base/core/error.h"
#include "cli/options/request/generation.h"
#include "cli/terminal/output.h"
#include <ruvllm/engine.h>
#include <ruvllm/learning/sona.h>

namespace ruvllm::cli {

struct ChatOptions {
  GenerationOptions generation;
  std::string system;
  std::string template_variables;  // JSON object; "": none
  bool raw = false;                // no chat template, as for models that have none
  bool verbose = false;            // speed after each answer
  // Who is answered and taught; "": nobody is, and `sona` is not used.
  std::string user;
  Sona* sona = nullptr;
  bool learns_messages = false;  // also from what the user writes
};

// Until /exit, Ctrl-D, or Ctrl-C twice at an empty prompt. Standard input and output are terminals.
Status run_chat(Engine& engine, const ChatOptions& options, Output& output);

}  // namespace ruvllm::cli
