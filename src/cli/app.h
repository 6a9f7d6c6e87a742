// The command line: one definition that parsing, help, the man page and completions read.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/core/error.h"
#include "cli/options/common.h"
#include "cli/terminal/output.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

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
  ~CommandLine();

  CLI::App& app() { return *app_; }
  const CLI::App& app() const { return *app_; }

  // Exit status: 0 done, 1 failed, 2 usage, 130 interrupted.
  int execute(int argc, const char* const* argv);

  struct Command {
    CLI::App* app = nullptr;
    CommonFlags flags;
    CommandFunction run;
  };
  Command& add(const std::string& name, const std::string& description, CommonSet common);
  // Called by help output, the man page and completions; no common flags.
  Command& add_hidden(const std::string& name, const std::string& description);

 private:
  int report_usage(const CLI::ParseError& error, bool json);
  int run(Command& command);

  std::unique_ptr<CLI::App> app_;
  std::deque<Command> commands_;  // stable addresses: the parser writes into the flags
};

}  // namespace ruvllm::cli
