#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/learn/learn.h"
#include "cli/commands/model.h"
#include "cli/options/request/adapter.h"
#include "cli/options/text_tokens.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/stepwise.h"
#include "cli/terminal/text.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {
namespace {

constexpr uint32_t kDefaultWindow = 512;

struct PerplexityOptions {
  std::string model;
  std::string file;
  std::string logits_file;
  uint64_t num_tokens = 0;  // 0: all
  std::vector<AdapterSource> adapters;
  LearnFlags learn;
};

Status report(const ScoreProgress& progress, uint32_t window, Output& output) {
  const double nll = progress.nll_sum / static_cast<double>(progress.num_scored);
  if (output.json()) {
    output.write_json({{"nll", nll},
                       {"ppl", std::exp(nll)},
                       {"tokens", progress.num_scored},
                       {"kv_bytes", progress.kv_bytes},
                       {"seconds", progress.seconds},
                       {"ctx", window}});
    return {};
  }
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  table.add_row({"perplexity", output.out_style().bold(fmt::format("{:.4f}", std::exp(nll)))});
  table.add_row({"loss", fmt::format("{:.5f} nat a token", nll)});
  table.add_row({"scored", fmt::format("{} tokens in windows of {}", progress.num_scored, window)});
  table.add_row({"keys and values", format_bytes(progress.kv_bytes)});
  table.add_row({"time", fmt::format("{:.2f} s, {:.1f} tok/s", progress.seconds,
                                     static_cast<double>(progress.tokens_done) /
                                         std::max(progress.seconds, 1e-9))});
  output.write(table.render());
  return {};
}

Status perplexity(PerplexityOptions& options, CommandContext& context) {
  RUVLLM_ASSIGN(EngineOptions engine_settings, engine_options(context, options.model));
  const uint32_t window = context.options.ctx > 0 ? context.options.ctx : kDefaultWindow;
  engine_settings.context_length = window;
  RUVLLM_TRY(split_learned(options.adapters, options.learn));
  engine_settings.adapters = options.adapters;
  RUVLLM_ASSIGN(const std::unique_ptr<Engine> engine, Engine::create(engine_settings));
  RUVLLM_ASSIGN(const std::unique_ptr<Sona> sona,
                open_sona(*engine, options.learn, context.output));
  RUVLLM_ASSIGN(std::vector<TokenId> ids,
                read_tokens(engine->tokenizer(), options.file, options.num_tokens));
  if (ids.size() < 2) {
    return fail(ErrorCode::kInvalidArgument,
                "{}: only {} tokens; a loss needs at least 2, give a longer text", options.file,
                ids.size());
  }
  RUVLLM_ASSIGN(Scorer scorer, engine->score(std::move(ids), {.context_length = window,
                                                              .logits_path = options.logits_file,
                                                              .user = options.learn.user}));
  InterruptScope interrupt;
  Progress bar(context.output, "perplexity", ProgressUnit::kTokens, scorer.progress().tokens_total);
  RUVLLM_TRY(run_steps(scorer, interrupt, "the loss of the whole text is not known", [&] {
    const ScoreProgress& progress = scorer.progress();
    const double mean = progress.nll_sum / static_cast<double>(progress.num_scored);
    bar.update(progress.tokens_done, fmt::format("ppl {:.3f}", std::exp(mean)));
  }));
  bar.finish();
  return report(scorer.progress(), window, context.output);
}

}  // namespace

void add_perplexity_command(CommandLine& line) {
  auto options = std::make_shared<PerplexityOptions>();
  CommandLine::Command& command =
      line.add("perplexity", "Measure the loss of a model over a text", CommonSet::kAll);
  CommandParser& parser = command.parser;
  add_model_argument(parser, options->model);
  parser.add_option("-f,--file", options->file, "Text to score, specials parsed; -: standard input")
      .value_name("FILE")
      .required();
  parser.add_option("--tokens", options->num_tokens, "Only the first N tokens; 0: all")
      .value_name("N");
  parser
      .add_option("--logits-out", options->logits_file, "Write float32 logits of scored positions")
      .value_name("FILE");
  add_adapter_flag(parser, options->adapters);
  add_user_flag(parser, options->learn);
  add_state_flags(parser, options->learn.state);
  parser.footer(
      "Windows of --ctx tokens (default 512) without overlap; every token but the first of a\n"
      "window is scored.\n\n"
      "Examples:\n  ruvllm perplexity model.gguf --file text.txt --ctx 2048 --tokens 20480");
  command.run = [options](CommandContext& context) { return perplexity(*options, context); };
}

}  // namespace ruvllm::cli
