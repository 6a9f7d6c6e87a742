#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/learn/learn.h"
#include "cli/commands/model.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/stepwise.h"
#include "cli/terminal/text.h"

namespace ruvllm::cli {
namespace {

struct TrainOptions {
  std::string model;
  std::string file;
  bool is_again = false;
  LearnFlags learn;
};

Json train_json(const LearnFileProgress& progress) {
  Json out = outcome_json(progress.outcome);
  out["lessons"] = progress.num_lessons;
  out["measure"] = nullptr;
  out["nll_before"] = out["nll_after"] = out["ci"] = nullptr;
  if (const std::optional<LearnFigures>& figures = progress.figures) {
    out["measure"] = figures->measure;
    out["nll_before"] = figures->nll_before;
    out["nll_after"] = figures->nll_after;
    out["ci"] = {figures->ci_low, figures->ci_high};
    out["scored_tokens"] = figures->num_scored;
  }
  return out;
}

void write_report(const LearnFileProgress& progress, Output& output) {
  const LearnOutcome& outcome = progress.outcome;
  if (!outcome.is_new) {
    output.write(
        "all of it was learned before; nothing counts twice. --again learns it once more\n");
    return;
  }
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  table.add_row({"user", outcome.user});
  table.add_row({"generation", fmt::format("{}", outcome.generation)});
  table.add_row({"learned",
                 fmt::format("{} tokens of {} lessons", outcome.num_tokens, progress.num_lessons)});
  if (const std::optional<LearnFigures>& figures = progress.figures) {
    table.add_row({"loss", fmt::format("{:.4f} nat a token without, {:.4f} with what was learned "
                                       "before each window",
                                       figures->nll_before, figures->nll_after)});
    table.add_row({"change", fmt::format("{:+.4f}, 95 % interval {:+.4f} to {:+.4f}",
                                         figures->nll_after - figures->nll_before, figures->ci_low,
                                         figures->ci_high)});
  }
  table.add_row({"time", fmt::format("{:.0f} ms: model {:.0f}, learning {:.0f}, disk {:.0f}",
                                     outcome.total_ms(), outcome.evidence_ms, outcome.learn_ms,
                                     outcome.store_ms + outcome.save_ms)});
  output.write(table.render());
}

Status train(const TrainOptions& options, CommandContext& context) {
  RUVLLM_ASSIGN(const LearningEngine learning,
                open_learning(context, options.model, options.learn.state));
  RUVLLM_ASSIGN(LearnFile file,
                learning.sona->learn_file(options.learn.user, options.file, options.is_again));
  InterruptScope interrupt;
  Progress bar(context.output, "learn", ProgressUnit::kBytes, file.progress().bytes_total);
  RUVLLM_TRY(run_steps(
      file, interrupt, "what was learned until now is kept; the same command goes on from there",
      [&] {
        const LearnFileProgress& progress = file.progress();
        bar.update(progress.bytes_done, fmt::format("{} tokens", progress.outcome.num_tokens));
      }));
  bar.finish();
  if (context.output.json()) {
    context.output.write_json(train_json(file.progress()));
  } else {
    write_report(file.progress(), context.output);
  }
  return {};
}

}  // namespace

void add_learn_train_command(CommandLine& line) {
  auto options = std::make_shared<TrainOptions>();
  CommandLine::Command& command =
      line.add("learn train", "Learn from a text or from a file of feedback", CommonSet::kAll);
  CommandParser& parser = command.parser;
  add_model_argument(parser, options->model);
  add_user_flag(parser, options->learn).required();
  parser
      .add_option("-f,--file", options->file,
                  "Text, or feedback if it ends in .jsonl, one JSON object a line")
      .value_name("FILE")
      .required();
  parser.add_flag("--again", options->is_again, "Learn also what was learned before");
  add_state_flags(parser, options->learn.state);
  parser.footer(
      "Lines of feedback: {\"text\"}, {\"prompt\",\"correction\"}, "
      "{\"prompt\",\"answer\",\"rating\"}, "
      "{\"prompt\",\"chosen\",\"rejected\"}.\n\n"
      "Examples:\n"
      "  ruvllm learn train --user ada --file notes.txt\n"
      "  ruvllm learn train --user ada --file feedback.jsonl --json");
  command.run = [options](CommandContext& context) { return train(*options, context); };
}

}  // namespace ruvllm::cli
