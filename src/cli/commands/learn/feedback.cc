#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/learn/learn.h"
#include "cli/commands/model.h"
#include "cli/options/values.h"

namespace ruvllm::cli {
namespace {

struct FeedbackOptions {
  std::string model;
  std::string response;
  std::string key;
  bool is_good = false;
  bool is_bad = false;
  std::optional<double> score;
  std::optional<std::string> fix;
  std::optional<std::string> better_than;
  std::optional<std::string> text;
  LearnFlags learn;
};

Result<LearnOutcome> give(const FeedbackOptions& options, Sona& sona) {
  const std::string& user = options.learn.user;
  if (options.text) return sona.learn_text(user, *options.text, options.key);
  if (options.fix) return sona.correct(user, options.response, *options.fix, options.key);
  if (options.better_than) {
    return sona.prefer(user, options.response, *options.better_than, options.key);
  }
  const double score = options.is_good ? 1.0 : options.is_bad ? 0.0 : options.score.value_or(0.0);
  return sona.rate(user, options.response, score, options.key);
}

Status check(const FeedbackOptions& options) {
  const int num_kinds = int{options.is_good} + int{options.is_bad} +
                        int{options.score.has_value()} + int{options.fix.has_value()} +
                        int{options.better_than.has_value()} + int{options.text.has_value()};
  if (num_kinds != 1) {
    return fail(ErrorCode::kInvalidArgument,
                "say one thing: --good, --bad, --score N, --fix TEXT, --better-than ID or --text "
                "TEXT");
  }
  if (!options.text && options.response.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--response is missing: `ruvllm run --user NAME --json` gives it as response_id");
  }
  return {};
}

Status feedback(const FeedbackOptions& options, CommandContext& context) {
  RUVLLM_ASSIGN(const LearningEngine learning,
                open_learning(context, options.model, options.learn.state));
  RUVLLM_ASSIGN(const LearnOutcome outcome, give(options, *learning.sona));
  if (context.output.json()) {
    context.output.write_json(outcome_json(outcome));
  } else {
    context.output.write(describe(outcome) + "\n");
  }
  return {};
}

}  // namespace

void add_learn_feedback_command(CommandLine& line) {
  auto options = std::make_shared<FeedbackOptions>();
  CommandLine::Command& command =
      line.add("learn feedback", "Rate or correct a response, and learn from it", CommonSet::kAll);
  CommandParser& parser = command.parser;
  add_model_argument(parser, options->model);
  add_user_flag(parser, options->learn).required();
  parser.add_option("--response", options->response, "Id of the response, from run --user --json")
      .value_name("ID");
  parser.add_flag("--good", options->is_good, "It was good");
  parser.add_flag("--bad", options->is_bad, "It was bad");
  parser
      .add_parsed_option(
          "--score",
          [options](const std::string& text) -> Status {
            RUVLLM_ASSIGN(options->score, parse_number<double>(text, 0.0, 1.0));
            return {};
          },
          "How good it was, 0 to 1")
      .value_name("N");
  parser.add_option("--fix", options->fix, "What it should have said").value_name("TEXT");
  parser
      .add_option("--better-than", options->better_than,
                  "Id of another response to the same prompt that was worse")
      .value_name("ID");
  parser.add_option("--text", options->text, "A text of the user's own").value_name("TEXT");
  parser
      .add_option("--key", options->key,
                  "Idempotency key: feedback with a key that was given before does not count again")
      .value_name("KEY");
  add_state_flags(parser, options->learn.state);
  parser.check([options] { return check(*options); });
  parser.footer(
      "Examples:\n"
      "  ruvllm learn feedback --user ada --response resp-1f --good\n"
      "  ruvllm learn feedback --user ada --response resp-1f --fix 'The code is 4821.'");
  command.run = [options](CommandContext& context) { return feedback(*options, context); };
}

}  // namespace ruvllm::cli
