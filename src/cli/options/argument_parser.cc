#include "cli/options/argument_parser.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>

namespace ruvllm::cli {
namespace {

void set_or_throw(const CommandParser::ValueSetter& set, const std::string& names,
                  const std::string& value) {
  const Status status = set(value);
  if (!status) throw CLI::ValidationError(names, status.error().message());
}

// "learn train", as far as the words were known.
std::string chosen_words(const CLI::App& app) {
  std::string words;
  for (std::vector<CLI::App*> chosen = app.get_subcommands(); !chosen.empty();
       chosen = chosen.front()->get_subcommands()) {
    words += (words.empty() ? "" : " ") + chosen.front()->get_name();
  }
  return words;
}

bool is_visible(const CLI::App* command) { return !command->get_group().empty(); }

}  // namespace

Option Option::value_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option Option::group(const std::string& heading) {
  option_->group(heading);
  return *this;
}

Option Option::required() {
  option_->required();
  return *this;
}

Option Option::excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}

Option Option::choices(const std::vector<std::string>& values) {
  option_->check(CLI::IsMember(values));
  return *this;
}

Option Option::range(int lowest, int highest) {
  option_->check(CLI::Range(lowest, highest).description(""));
  return *this;
}

Option Option::separator(char character) {
  option_->delimiter(character);
  return *this;
}

Option Option::show_default() {
  option_->capture_default_str();
  return *this;
}

Option Option::show_default(const std::string& text) {
  option_->default_str(text);
  return *this;
}

bool Option::given() const { return option_->count() > 0; }

std::string Option::name() const { return option_->get_name(true); }

Option CommandParser::add_flag(const std::string& names, bool& target, const std::string& help) {
  return Option(app_->add_flag(names, target, help));
}

template <typename Value>
Option CommandParser::add_option(const std::string& names, Value& target, const std::string& help) {
  CLI::Option* option = app_->add_option(names, target, help);
  if (names.starts_with('-')) option->allow_extra_args(false);
  return Option(option);
}

Option CommandParser::add_parsed_option(const std::string& names, ValueSetter set,
                                        const std::string& help) {
  return Option(app_->add_option_function<std::string>(
      names,
      [names, set = std::move(set)](const std::string& value) { set_or_throw(set, names, value); },
      help));
}

Option CommandParser::add_parsed_list(const std::string& names, ValueSetter set,
                                      const std::string& help) {
  CLI::Option* option = app_->add_option_function<std::vector<std::string>>(
      names,
      [names, set = std::move(set)](const std::vector<std::string>& values) {
        for (const std::string& value : values) set_or_throw(set, names, value);
      },
      help);
  return Option(option->allow_extra_args(false));
}

void CommandParser::footer(const std::string& text) { app_->footer(text); }

void CommandParser::check(std::function<Status()> check) {
  app_->callback([check = std::move(check)] {
    const Status status = check();
    if (!status) throw CLI::ValidationError(status.error().message());
  });
}

bool CommandParser::chosen() const { return app_->parsed(); }

ProgramParser::ProgramParser(const std::string& name, const std::string& description,
                             const std::string& version)
    : app_(std::make_unique<CLI::App>(description, name)) {
  app_->require_subcommand(1);
  app_->get_formatter()->column_width(34);
  app_->get_formatter()->label("SUBCOMMAND", "COMMAND");
  app_->set_help_flag("-h,--help", "Show this help");
  app_->set_version_flag("-V,--version", name + " " + version, "Show the version");
}

ProgramParser::~ProgramParser() = default;

void ProgramParser::add_family(const std::string& name, const std::string& description,
                               const std::string& group) {
  app_->add_subcommand(name, description)->group(group)->require_subcommand(1);
}

CommandParser ProgramParser::add_command(const std::string& name, const std::string& description,
                                         const std::string& group) {
  const size_t space = name.find(' ');
  if (space == std::string::npos) {
    return CommandParser(app_->add_subcommand(name, description)->group(group));
  }
  CLI::App* family = app_->get_subcommand(name.substr(0, space));
  return CommandParser(family->add_subcommand(name.substr(space + 1), description)->group(group));
}

void ProgramParser::footer(const std::string& text) { app_->footer(text); }

std::vector<std::string> ProgramParser::command_names() const {
  std::vector<std::string> names;
  const CLI::App& app = *app_;
  for (const CLI::App* command : app.get_subcommands(&is_visible)) {
    names.push_back(command->get_name());
  }
  return names;
}

ParseOutcome ProgramParser::parse(std::vector<std::string> arguments) {
  ParseOutcome outcome;
  try {
    std::ranges::reverse(arguments);  // the library takes them from the end
    app_->parse(std::move(arguments));
    return outcome;
  } catch (const CLI::CallForVersion& asked) {
    outcome.kind = ParseOutcome::Kind::kAnswer;
    outcome.text = asked.what() + std::string("\n");
  } catch (const CLI::Success&) {
    outcome.kind = ParseOutcome::Kind::kAnswer;
    outcome.text = app_->help();
  } catch (const CLI::ParseError& error) {
    outcome.kind = ParseOutcome::Kind::kUsageError;
    outcome.text = error.what();
    outcome.command = chosen_words(*app_);
    outcome.unexpected = app_->remaining();
  }
  return outcome;
}

template Option CommandParser::add_option(const std::string&, std::string&, const std::string&);
template Option CommandParser::add_option(const std::string&, std::optional<std::string>&,
                                          const std::string&);
template Option CommandParser::add_option(const std::string&, std::vector<std::string>&,
                                          const std::string&);
template Option CommandParser::add_option(const std::string&, int32_t&, const std::string&);
template Option CommandParser::add_option(const std::string&, uint32_t&, const std::string&);
template Option CommandParser::add_option(const std::string&, std::vector<uint32_t>&,
                                          const std::string&);
template Option CommandParser::add_option(const std::string&, uint64_t&, const std::string&);

}  // namespace ruvllm::cli
