// Commands, their flags, options and positional arguments. A thin front of CLI11, whose header
// takes longer to compile than any command: only argument_parser.cc and reference.cc include it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/error.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace ruvllm::cli {

// A flag, an option with a value or a positional argument: a handle, its parser owns it.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option value_name(const std::string& name);  // what help calls the value: "FILE"
  Option group(const std::string& heading);    // of help
  Option required();
  Option excludes(Option other);
  Option choices(const std::vector<std::string>& values);
  Option range(int lowest, int highest);
  Option separator(char character);  // several values in one argument: "1,8"
  Option show_default();             // help shows what the target holds now
  Option show_default(const std::string& text);

  bool given() const;
  std::string name() const;

 private:
  CLI::Option* option_;
};

// What one command takes: a handle, its ProgramParser owns it. Targets must outlive the parsing.
class CommandParser {
 public:
  explicit CommandParser(CLI::App* app) : app_(app) {}

  Option add_flag(const std::string& names, bool& target, const std::string& help);

  // Names such as "-f,--file" make an option, a name without a dash the next positional argument.
  // Targets: strings, integers, std::optional and std::vector of them (the list stands at the end
  // of argument_parser.cc). An option into a vector may be given several times, with one value
  // each; a positional argument into a vector takes all that is left.
  template <typename Value>
  Option add_option(const std::string& names, Value& target, const std::string& help);

  // `set` reads the value itself; its error is a usage error that begins with `names`.
  using ValueSetter = std::function<Status(const std::string& value)>;
  Option add_parsed_option(const std::string& names, ValueSetter set, const std::string& help);
  // May be given several times.
  Option add_parsed_list(const std::string& names, ValueSetter set, const std::string& help);

  void footer(const std::string& text);
  // Looks at all arguments of the command together; an error is a usage error.
  void check(std::function<Status()> check);

  bool chosen() const;

 private:
  CLI::App* app_;
};

struct ParseOutcome {
  enum class Kind {
    kCommand,     // go on with the command that is chosen()
    kAnswer,      // --help or --version: `text` is for standard output
    kUsageError,  // `text` says what is wrong
  };
  Kind kind = Kind::kCommand;
  std::string text;
  std::string command;                  // "": none was recognized
  std::vector<std::string> unexpected;  // arguments that belong to nothing
};

class ProgramParser {
 public:
  ProgramParser(const std::string& name, const std::string& description,
                const std::string& version);
  ~ProgramParser();

  // A word before commands of its own: add_command("learn train", ...) belongs to "learn".
  void add_family(const std::string& name, const std::string& description,
                  const std::string& group);
  // Commands without a group are hidden from help.
  CommandParser add_command(const std::string& name, const std::string& description,
                            const std::string& group);
  void footer(const std::string& text);

  // First words, without those that are hidden.
  std::vector<std::string> command_names() const;

  // Fills the targets. Arguments without the program's own name.
  ParseOutcome parse(std::vector<std::string> arguments);

  // For reference.cc, which describes the program.
  const CLI::App& app() const { return *app_; }

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace ruvllm::cli
