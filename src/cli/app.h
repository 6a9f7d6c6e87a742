// The command line: one definition that parsing, help, the man page and completions read.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "base/core/error.h"
#include "cli/options/argument_parser.h"
#include "cli/options/common.h"
#include "cli/terminal/output.h"

namespace ruvllm::cli {

struct CommandContext {
  CommonOptions options;
  Output& output;
};

using CommandFunction = std::function<Status(CommandContext&)>;

// Owns the parser and what each command does. Command files add themselves (commands/commands.h).
class CommandLine {
 public:
  CommandLine();

  const ProgramParser& parser() const { return parser_; }

  // Exit status: 0 done, 1 failed, 2 usage, 130 interrupted.
  int execute(int argc, const char* const* argv);

  struct Command {
    CommandParser parser;
    CommonFlags flags = {};
    CommandFunction run = {};
  };
  // A name of two words belongs to a family that was added before.
  Command& add(const std::string& name, const std::string& description, CommonSet common);
  void add_family(const std::string& name, const std::string& description);
  // Called by help output, the man page and completions; no common flags.
  Command& add_hidden(const std::string& name, const std::string& description);

 private:
  int report_usage(const ParseOutcome& outcome, bool json);
  int run(Command& command);

  ProgramParser parser_;
  std::deque<Command> commands_;  // stable addresses: the parser writes into the flags
};

}  // namespace ruvllm::cli
