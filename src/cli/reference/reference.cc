#include "cli/reference/reference.h"

#include <sstream>
#include <string_view>

#include <CLI/CLI.hpp>

namespace ruvllm::cli {
namespace {

// The parser shows an enumerated value as "DEVICE:{cpu,cuda,metal}".
void split_type_name(const std::string& type_name, OptionReference& out) {
  const size_t open = type_name.find(":{");
  out.value_name = type_name.substr(0, open);
  if (open == std::string::npos || !type_name.ends_with('}')) return;
  std::istringstream list(type_name.substr(open + 2, type_name.size() - open - 3));
  for (std::string choice; std::getline(list, choice, ',');) out.choices.push_back(choice);
}

OptionReference describe_option(const CLI::Option& option) {
  OptionReference out;
  for (const std::string& name : option.get_snames()) out.flags.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.flags.push_back("--" + name);
  if (option.get_items_expected_max() > 0) split_type_name(option.get_type_name(), out);
  out.takes_file = out.value_name == "FILE";
  if (out.flags.empty()) out.value_name = option.get_name(true);
  out.description = option.get_description();
  out.default_value = option.get_default_str();
  out.group = option.get_group();
  out.required = option.get_required();
  return out;
}

void split_footer(const std::string& footer, CommandReference& out) {
  constexpr std::string_view kExamples = "Examples:\n";
  const size_t start = footer.find(kExamples);
  out.notes = footer.substr(0, start);
  out.notes.erase(out.notes.find_last_not_of('\n') + 1);
  if (start == std::string::npos) return;
  std::istringstream lines(footer.substr(start + kExamples.size()));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos) out.examples.push_back(line.substr(first));
  }
}

std::vector<OptionReference> describe_options(const CLI::App& app, bool positional) {
  std::vector<OptionReference> out;
  const auto wanted = [positional](const CLI::Option* option) {
    return !option->get_group().empty() && option->get_positional() == positional;
  };
  for (const CLI::Option* option : app.get_options(wanted)) out.push_back(describe_option(*option));
  return out;
}

CommandReference describe_command(const CLI::App& command, const std::string& name) {
  CommandReference reference;
  reference.name = name;
  reference.description = command.get_description();
  reference.arguments = describe_options(command, true);
  reference.options = describe_options(command, false);
  split_footer(command.get_footer(), reference);
  return reference;
}

}  // namespace

ProgramReference describe_program(const ProgramParser& parser) {
  const CLI::App& app = parser.app();
  ProgramReference out;
  out.name = app.get_name();
  out.description = app.get_description();
  out.options = describe_options(app, false);
  const auto visible = [](const CLI::App* command) { return !command->get_group().empty(); };
  for (const CLI::App* command : app.get_subcommands(visible)) {
    const std::string& name = command->get_name();
    const std::vector<const CLI::App*> members = command->get_subcommands(visible);
    if (!members.empty()) out.families.push_back({name, command->get_description()});
    for (const CLI::App* member : members) {
      out.commands.push_back(describe_command(*member, name + " " + member->get_name()));
    }
    if (members.empty()) out.commands.push_back(describe_command(*command, name));
  }
  return out;
}

}  // namespace ruvllm::cli
