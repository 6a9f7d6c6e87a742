// Commands on the state on disk alone: no model is loaded.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/learn/learn.h"
#include "cli/terminal/text.h"

namespace ruvllm::cli {
namespace {

struct StateOptions {
  LearnFlags learn;
  std::string path;
  uint32_t num_steps = 1;
};

Json user_json(const LearnedUser& user) {
  return Json{{"user", user.user},
              {"generation", user.generation},
              {"generations", user.num_generations},
              {"feedback", user.num_feedback},
              {"model", user.model},
              {"strategy", user.strategy}};
}

Status status(const StateOptions& options, LearnedState& state, Output& output) {
  std::vector<LearnedUser> users;
  if (options.learn.user.empty()) {
    RUVLLM_ASSIGN(users, state.users());
  } else {
    RUVLLM_ASSIGN(LearnedUser user, state.find(options.learn.user));
    users.push_back(std::move(user));
  }
  RUVLLM_ASSIGN(const LearnedStateCounts counts, state.counts());
  if (output.json()) {
    Json list = Json::array();
    for (const LearnedUser& user : users) list.push_back(user_json(user));
    output.write_json({{"users", list},
                       {"feedback", counts.num_feedback},
                       {"responses", counts.num_responses},
                       {"generations", counts.num_generations},
                       {"bytes", counts.file_bytes}});
    return {};
  }
  Table table({Table::Align::kLeft, Table::Align::kRight, Table::Align::kRight,
               Table::Align::kRight, Table::Align::kLeft});
  table.add_row({"USER", "GENERATION", "KEPT", "FEEDBACK", "MADE BY"});
  for (const LearnedUser& user : users) {
    table.add_row({user.user, fmt::format("{}", user.generation),
                   fmt::format("{}", user.num_generations), fmt::format("{}", user.num_feedback),
                   user.strategy});
  }
  if (!users.empty()) output.write(table.render());
  output.write(fmt::format("{} users, {} pieces of feedback, {} responses kept, {} on disk\n",
                           counts.num_users, counts.num_feedback, counts.num_responses,
                           format_bytes(counts.file_bytes)));
  return {};
}

Status roll_back(const StateOptions& options, LearnedState& state, Output& output) {
  RUVLLM_ASSIGN(const uint64_t generation, state.roll_back(options.learn.user, options.num_steps));
  if (output.json()) {
    output.write_json({{"user", options.learn.user}, {"generation", generation}});
  } else {
    output.write(fmt::format("{}: back by {}, as generation {}\n", options.learn.user,
                             options.num_steps, generation));
  }
  return {};
}

Status forget(const StateOptions& options, LearnedState& state, Output& output) {
  RUVLLM_ASSIGN(const ForgottenUser report, state.forget(options.learn.user));
  if (output.json()) {
    output.write_json({{"user", options.learn.user},
                       {"feedback", report.num_feedback},
                       {"responses", report.num_responses},
                       {"generations", report.num_generations}});
  } else {
    output.write(fmt::format(
        "{}: {} pieces of feedback, {} responses and {} generations are gone\n", options.learn.user,
        report.num_feedback, report.num_responses, report.num_generations));
  }
  return {};
}

void write_transfer(const TransferredState& report, const std::string& path, Output& output) {
  if (output.json()) {
    output.write_json({{"path", path},
                       {"feedback", report.num_feedback},
                       {"responses", report.num_responses},
                       {"generations", report.num_generations},
                       {"known", report.num_known},
                       {"forgotten", report.num_forgotten}});
    return;
  }
  output.write(fmt::format("{}: {} pieces of feedback, {} responses, {} generations", path,
                           report.num_feedback, report.num_responses, report.num_generations));
  if (report.num_known > 0) output.write(fmt::format("; {} were there already", report.num_known));
  if (report.num_forgotten > 0) {
    output.write(fmt::format("; {} of forgotten users left out", report.num_forgotten));
  }
  output.write("\n");
}

Status export_state(const StateOptions& options, LearnedState& state, Output& output) {
  RUVLLM_ASSIGN(const TransferredState report, state.export_to(options.path));
  write_transfer(report, options.path, output);
  return {};
}

Status import_state(const StateOptions& options, LearnedState& state, Output& output) {
  RUVLLM_ASSIGN(const TransferredState report, state.import_from(options.path));
  write_transfer(report, options.path, output);
  return {};
}

using StateFunction = Status (*)(const StateOptions&, LearnedState&, Output&);

struct Added {
  CommandLine::Command& command;
  std::shared_ptr<StateOptions> options;
};
Added add(CommandLine& line, const char* name, const char* description, StateFunction function) {
  auto options = std::make_shared<StateOptions>();
  CommandLine::Command& command = line.add(name, description, CommonSet::kOutputOnly);
  command.run = [options, function](CommandContext& context) -> Status {
    RUVLLM_ASSIGN(const std::unique_ptr<LearnedState> state,
                  LearnedState::open(options->learn.state));
    note_recovery(*state, context.output);
    return function(*options, *state, context.output);
  };
  add_state_flags(command.parser, options->learn.state);
  return {command, options};
}

}  // namespace

void add_learn_state_commands(CommandLine& line) {
  const Added shown = add(line, "learn status", "Show who was taught what", &status);
  add_user_flag(shown.command.parser, shown.options->learn);
  const Added back =
      add(line, "learn rollback", "Go back to an earlier state of a user", &roll_back);
  add_user_flag(back.command.parser, back.options->learn).required();
  back.command.parser.add_option("--steps", back.options->num_steps, "Generations to go back")
      .value_name("N")
      .show_default();
  const Added gone = add(line, "learn forget", "Delete all that a user taught", &forget);
  add_user_flag(gone.command.parser, gone.options->learn).required();
  const Added out =
      add(line, "learn export", "Write all learned state into one file", &export_state);
  out.command.parser.add_option("OUT", out.options->path, "File to write")
      .value_name("FILE")
      .required();
  const Added in = add(line, "learn import", "Take in learned state from a file", &import_state);
  in.command.parser.add_option("IN", in.options->path, "File of learn export")
      .value_name("FILE")
      .required();
}

}  // namespace ruvllm::cli
