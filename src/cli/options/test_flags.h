// For tests: a command line parsed into the flags of one group.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/options/argument_parser.h"

namespace ruvllm::cli {

// What the flags hold after a command with these arguments; none when they are refused. `add`
// registers the flags with the command.
template <typename Flags, typename Add>
std::optional<Flags> parse_flags(Add add, std::vector<std::string> arguments) {
  ProgramParser program("program", "Test.", "1");
  CommandParser command = program.add_command("command", "Test.", "Commands");
  Flags flags;
  add(command, flags);
  arguments.insert(arguments.begin(), "command");
  const ParseOutcome outcome = program.parse(std::move(arguments));
  if (outcome.kind != ParseOutcome::Kind::kCommand) return std::nullopt;
  return flags;
}

}  // namespace ruvllm::cli
