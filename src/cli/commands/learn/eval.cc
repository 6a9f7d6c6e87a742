#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/learn/eval_tables.h"
#include "cli/commands/learn/learn.h"
#include "cli/commands/model.h"
#include "cli/options/text_tokens.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/stepwise.h"
#include <ruvllm/learning/evaluation.h>

namespace ruvllm::cli {
namespace {

constexpr uint32_t kDefaultWindow = 512;
constexpr double kProgressUnits = 1000;  // of the bar of a part

struct EvalOptions {
  std::vector<std::string> texts;
  std::vector<std::string> parts;
  bool quick = false;
  uint32_t streams = 0;  // 0: the default
  uint32_t seeds = 0;
  uint64_t num_tokens = 0;  // of each text; 0: all
};

// Files as they are named; of folders, their .txt files in the order of their names.
Result<std::vector<std::string>> text_files(const std::vector<std::string>& names) {
  std::vector<std::string> files;
  for (const std::string& name : names) {
    std::error_code error;
    if (!std::filesystem::is_directory(name, error)) {
      files.push_back(name);
      continue;
    }
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(name, error)) {
      if (entry.path().extension() == ".txt") found.push_back(entry.path().string());
    }
    if (error) return fail(ErrorCode::kUnavailable, "{}: {}", name, error.message());
    if (found.empty()) {
      return fail(ErrorCode::kNotFound, "{}: no .txt files in this folder", name);
    }
    std::ranges::sort(found);
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

LearningEvaluationOptions evaluation_options(const EvalOptions& options,
                                             const EngineOptions& engine, uint32_t ctx) {
  LearningEvaluationOptions evaluation;
  evaluation.model_path = engine.model_path;
  evaluation.num_threads = engine.num_threads;
  evaluation.cpu_isa = engine.cpu_isa;
  evaluation.window = ctx > 0 ? ctx : kDefaultWindow;
  evaluation.parts = options.parts;
  if (options.quick) {
    evaluation.streams = 2;
    evaluation.seeds = 1;
    evaluation.stream_tokens = 512;
    evaluation.long_tokens = 1500;
    evaluation.conversations = 2;
    evaluation.task_tokens = 512;
    evaluation.task_test_tokens = 256;
    evaluation.orders = 1;
  }
  if (options.streams > 0) evaluation.streams = options.streams;
  if (options.seeds > 0) evaluation.seeds = options.seeds;
  return evaluation;
}

Status evaluate(const EvalOptions& options, CommandContext& context) {
  RUVLLM_ASSIGN(const EngineOptions engine, engine_options(context, ""));
  RUVLLM_ASSIGN(const Tokenizer tokenizer, Tokenizer::from_file(engine.model_path));
  RUVLLM_ASSIGN(const std::vector<std::string> files, text_files(options.texts));
  std::vector<EvaluationText> texts;
  for (const std::string& file : files) {
    RUVLLM_ASSIGN(std::vector<TokenId> tokens, read_tokens(tokenizer, file, options.num_tokens));
    texts.push_back({std::filesystem::path(file).stem().string(), std::move(tokens)});
  }
  InterruptScope interrupt;
  RUVLLM_ASSIGN(LearningEvaluation evaluation,
                LearningEvaluation::create(evaluation_options(options, engine, context.options.ctx),
                                           std::move(texts)));
  Progress bar(context.output, "learn eval", ProgressUnit::kTokens,
               static_cast<uint64_t>(kProgressUnits));
  RUVLLM_TRY(run_steps(evaluation, interrupt, "nothing is reported", [&] {
    bar.update(static_cast<uint64_t>(evaluation.done() * kProgressUnits),
               std::string(evaluation.current()));
  }));
  bar.finish();
  nlohmann::json report = nlohmann::json::parse(evaluation.report_json());
  if (context.output.json()) {
    context.output.write_json(report);
  } else {
    context.output.write(evaluation_tables(report, context.output.out_style()));
  }
  return {};
}

}  // namespace

void add_learn_eval_command(CommandLine& line) {
  auto options = std::make_shared<EvalOptions>();
  CommandLine::Command& command =
      line.add("learn eval", "Measure what learning gains, what it forgets and what it cannot harm",
               CommonSet::kAll);
  CommandParser& parser = command.parser;
  parser
      .add_option("TEXT", options->texts,
                  "Texts, a subject each, or folders of .txt files; specials are parsed")
      .value_name("TEXT")
      .required();
  parser.add_option("--part", options->parts, "Only this part; may be given several times")
      .choices(learning_evaluation_parts());
  parser.add_flag("--quick", options->quick, "Seconds instead of minutes: few and short streams");
  parser.add_option("--streams", options->streams, "Streams of each text for each seed")
      .value_name("N");
  parser.add_option("--seeds", options->seeds, "Seeds").value_name("N");
  parser.add_option("--tokens", options->num_tokens, "Only the first N of each text; 0: all")
      .value_name("N");
  parser.footer(
      "Learns from each text as a served model would, without keeping anything. Losses are in\n"
      "nats a token, learned minus base: below 0 is better. docs/learning.md explains all "
      "parts.\n\n"
      "Examples:\n  ruvllm learn eval texts/ --json > learning.json\n"
      "  ruvllm learn eval notes.txt --quick --part streams");
  command.run = [options](CommandContext& context) { return evaluate(*options, context); };
}

}  // namespace ruvllm::cli
