// The command line as data, read from its parser: what the man page and the completions say.
#pragma once

#include <string>
#include <vector>

#include "cli/options/argument_parser.h"

namespace ruvllm::cli {

struct OptionReference {
  std::vector<std::string> flags;    // "-m", "--model"; empty for a positional argument
  std::string value_name;            // "" for a flag without a value; a positional's name
  std::vector<std::string> choices;  // the only values, when there are few
  std::string description;
  std::string default_value;
  std::string group;
  bool takes_file = false;
  bool required = false;
};

struct CommandReference {
  std::string name;
  std::string description;
  std::vector<OptionReference> arguments;  // positional
  std::vector<OptionReference> options;
  std::string notes;                  // of the footer, before its examples
  std::vector<std::string> examples;  // command lines of the footer
};

// A word before several commands.
struct FamilyReference {
  std::string name;
  std::string description;
};

struct ProgramReference {
  std::string name;
  std::string description;
  std::vector<OptionReference> options;
  std::vector<CommandReference> commands;  // hidden ones left out; "learn train" is one
  std::vector<FamilyReference> families;
};

ProgramReference describe_program(const ProgramParser& parser);

}  // namespace ruvllm::cli
