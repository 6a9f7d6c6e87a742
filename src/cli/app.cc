#include "cli/app.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/core/edit_distance.h"
#include "cli/commands/commands.h"
#include <ruvllm/settings.h>

namespace ruvllm::cli {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitInterrupted = 130;  // as shells report a program that Ctrl-C ended

// " (did you mean 'tokenize'?)", or nothing when no command is near.
std::string suggestion(const ProgramParser& parser, std::string_view typed) {
  std::string best;
  size_t best_distance = 3;
  for (const std::string& command : parser.command_names()) {
    const size_t distance = edit_distance(typed, command);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = command;
  }
  return best.empty() ? "" : fmt::format(" (did you mean '{}'?)", best);
}

}  // namespace

CommandLine::CommandLine()
    : parser_("ruvllm", "Run large language models on this machine.", version()) {
  parser_.footer("'ruvllm COMMAND --help' lists the options of a command.");
  add_run_command(*this);
  add_pull_command(*this);
  add_list_command(*this);
  add_rm_command(*this);
  add_show_command(*this);
  add_perplexity_command(*this);
  add_bench_command(*this);
  add_embed_command(*this);
  add_tokenize_command(*this);
  add_detokenize_command(*this);
  add_convert_command(*this);
  add_quantize_command(*this);
  add_imatrix_command(*this);
  add_synth_command(*this);
  add_merge_command(*this);
  add_learn_commands(*this);
  add_doctor_command(*this);
  add_reference_commands(*this);
}

CommandLine::Command& CommandLine::add(const std::string& name, const std::string& description,
                                       CommonSet common) {
  Command& command =
      commands_.emplace_back(Command{parser_.add_command(name, description, "Commands")});
  add_common_flags(command.parser, command.flags, common);
  return command;
}

void CommandLine::add_family(const std::string& name, const std::string& description) {
  parser_.add_family(name, description, "Commands");
}

CommandLine::Command& CommandLine::add_hidden(const std::string& name,
                                              const std::string& description) {
  return commands_.emplace_back(Command{parser_.add_command(name, description, "")});
}

int CommandLine::execute(int argc, const char* const* argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const ParseOutcome outcome = parser_.parse(arguments);
  if (outcome.kind == ParseOutcome::Kind::kAnswer) {
    Output(false, true).write(outcome.text);
    return 0;
  }
  if (outcome.kind == ParseOutcome::Kind::kUsageError) {
    return report_usage(outcome, std::ranges::find(arguments, "--json") != arguments.end());
  }
  for (Command& command : commands_) {
    if (command.parser.chosen()) return run(command);
  }
  return kExitUsage;
}

int CommandLine::report_usage(const ParseOutcome& outcome, bool json) {
  const bool has_command = !outcome.command.empty();
  std::string message = outcome.text;
  if (!has_command && !outcome.unexpected.empty()) {
    const std::string& typed = outcome.unexpected.front();
    message = typed.starts_with('-')
                  ? fmt::format("unknown option {} before the command", typed)
                  : fmt::format("unknown command '{}'{}", typed, suggestion(parser_, typed));
  } else if (!has_command) {
    message = "a command is missing";
  }
  Output output(json, true);
  report_error(output, "usage", message);
  output.note(fmt::format("Try 'ruvllm {}--help'.", has_command ? outcome.command + " " : ""));
  return kExitUsage;
}

int CommandLine::run(Command& command) {
  auto settings = load_settings(command.flags.config_path);
  Output output(command.flags.json, settings ? settings->no_color : true);
  const auto fail_with = [&output](const Error& error) {
    report_error(output, error_code_name(error.code()), error.message());
    return error.code() == ErrorCode::kCancelled ? kExitInterrupted : kExitFailed;
  };
  if (!settings) return fail_with(settings.error());
  auto options = merge_settings(command.flags, *settings);
  if (!options) return fail_with(options.error());
  CommandContext context{*options, output};
  if (const Status status = command.run(context); !status) return fail_with(status.error());
  if (const Status status = output.finish(); !status) return fail_with(status.error());
  return 0;
}

}  // namespace ruvllm::cli
