#include "cli/app.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
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
std::string suggestion(const CLI::App& app, std::string_view typed) {
  std::string best;
  size_t best_distance = 3;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const size_t distance = edit_distance(typed, command->get_name());
    if (command->get_group().empty() || distance >= best_distance) continue;
    best_distance = distance;
    best = command->get_name();
  }
  return best.empty() ? "" : fmt::format(" (did you mean '{}'?)", best);
}

bool has_json_flag(int argc, const char* const* argv) {
  return std::any_of(argv, argv + argc, [](std::string_view text) { return text == "--json"; });
}

}  // namespace

CommandLine::CommandLine()
    : app_(std::make_unique<CLI::App>("Run large language models on this machine.", "ruvllm")) {
  app_->require_subcommand(1);
  app_->get_formatter()->column_width(34);
  app_->get_formatter()->label("SUBCOMMAND", "COMMAND");
  app_->set_help_flag("-h,--help", "Show this help");
  app_->set_version_flag("-V,--version", fmt::format("ruvllm {}", version()), "Show the version");
  app_->footer("'ruvllm COMMAND --help' lists the options of a command.");
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
  add_doctor_command(*this);
  add_reference_commands(*this);
}

CommandLine::~CommandLine() = default;

CommandLine::Command& CommandLine::add(const std::string& name, const std::string& description,
                                       CommonSet common) {
  Command& command = commands_.emplace_back();
  command.app = app_->add_subcommand(name, description)->group("Commands");
  add_common_flags(*command.app, command.flags, common);
  return command;
}

CommandLine::Command& CommandLine::add_hidden(const std::string& name,
                                              const std::string& description) {
  Command& command = commands_.emplace_back();
  command.app = app_->add_subcommand(name, description)->group("");
  return command;
}

int CommandLine::execute(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_usage(error, has_json_flag(argc, argv));
  }
  for (Command& command : commands_) {
    if (command.app->parsed()) return run(command);
  }
  return kExitUsage;
}

int CommandLine::report_usage(const CLI::ParseError& error, bool json) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    Output output(false, true);  // --help, --version
    const bool is_version = dynamic_cast<const CLI::CallForVersion*>(&error) != nullptr;
    output.write(is_version ? fmt::format("{}\n", error.what()) : app_->help());
    return 0;
  }
  const auto parsed = app_->get_subcommands();
  const CLI::App* command = parsed.empty() ? nullptr : parsed.front();
  std::string message = error.what();
  const std::vector<std::string> rest = app_->remaining();
  if (command == nullptr && !rest.empty()) {
    message =
        rest.front().starts_with('-')
            ? fmt::format("unknown option {} before the command", rest.front())
            : fmt::format("unknown command '{}'{}", rest.front(), suggestion(*app_, rest.front()));
  } else if (command == nullptr) {
    message = "a command is missing";
  }
  Output output(json, true);
  report_error(output, "usage", message);
  output.note(
      fmt::format("Try 'ruvllm {}--help'.", command != nullptr ? command->get_name() + " " : ""));
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
