// The chat's /commands.
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"

namespace ruvllm::cli {

enum class ChatCommandKind {
  kHelp,
  kClear,
  kSystem,
  kSet,
  kShow,
  kHistory,
  kSave,
  kLoad,
  kRegenerate,
  kUndo,
  kGood,
  kBad,
  kFix,
  kStats,
  kExit,
};

struct ChatCommand {
  ChatCommandKind kind = ChatCommandKind::kHelp;
  std::string argument;  // all after the name; of /set: the parameter
  std::string value;     // of /set
};

// A line that starts with '/'. Unknown names, missing and unwanted arguments are errors.
Result<ChatCommand> parse_chat_command(std::string_view line);

// One line for each command.
std::string chat_help();

}  // namespace ruvllm::cli
