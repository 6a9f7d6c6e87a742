// --chat-template and what the user is told about the template in use.
#pragma once

#include <string>

#include "base/core/error.h"
#include "cli/options/argument_parser.h"
#include <ruvllm/chat.h>
#include <ruvllm/engine.h>

namespace ruvllm::cli {

struct ChatTemplateFlags {
  std::string chat_template;  // "", a name, a file or Jinja
  std::string variables;      // JSON object
};

void add_chat_template_flags(CommandParser& command, ChatTemplateFlags& flags);

// For EngineOptions::chat_template: a file's contents in its place.
Result<std::string> resolve_chat_template(const ChatTemplateFlags& flags);

// What to say when the model's file has no template of its own; "" when it has, or when the user
// chose one.
std::string chat_template_note(const EngineInfo& info);

}  // namespace ruvllm::cli
