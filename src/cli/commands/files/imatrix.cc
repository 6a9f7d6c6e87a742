#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/model.h"
#include "cli/options/text_tokens.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/stepwise.h"
#include <ruvllm/quantize.h>

namespace ruvllm::cli {
namespace {

constexpr uint32_t kDefaultWindow = 512;

struct ImatrixOptions {
  std::string model;
  std::string file;
  std::string output;
  uint64_t num_tokens = 0;  // 0: all
};

Status imatrix(const ImatrixOptions& options, CommandContext& context) {
  RUVLLM_ASSIGN(const EngineOptions engine, engine_options(context, options.model));
  RUVLLM_ASSIGN(const Tokenizer tokenizer, Tokenizer::from_file(engine.model_path));
  RUVLLM_ASSIGN(std::vector<TokenId> tokens,
                read_tokens(tokenizer, options.file, options.num_tokens));
  const uint32_t window = context.options.ctx > 0 ? context.options.ctx : kDefaultWindow;
  InterruptScope interrupt;
  RUVLLM_ASSIGN(ImportanceCollector collector,
                ImportanceCollector::create(
                    {.model_path = engine.model_path,
                     .output_path = options.output,
                     .text_name = std::filesystem::path(options.file).filename().string(),
                     .context_length = window,
                     .num_threads = engine.num_threads,
                     .cpu_isa = engine.cpu_isa},
                    std::move(tokens)));
  Progress bar(context.output, "imatrix", ProgressUnit::kTokens, collector.tokens_total());
  const std::string lost = fmt::format("{} is not written", options.output);
  RUVLLM_TRY(run_steps(collector, interrupt, lost, [&] { bar.update(collector.tokens_done()); }));
  bar.finish();
  RUVLLM_TRY(collector.finish());
  if (context.output.json()) {
    context.output.write_json({{"output", options.output},
                               {"tokens", collector.tokens_done()},
                               {"ctx", window},
                               {"matrices", collector.num_matrices()}});
  } else {
    context.output.write(
        fmt::format("{}: importance of the columns of {} matrices over {} tokens\n", options.output,
                    collector.num_matrices(), collector.tokens_done()));
  }
  return {};
}

}  // namespace

void add_imatrix_command(CommandLine& line) {
  auto options = std::make_shared<ImatrixOptions>();
  CommandLine::Command& command =
      line.add("imatrix", "Measure which columns of a model's matrices matter", CommonSet::kAll);
  CommandParser& parser = command.parser;
  add_model_argument(parser, options->model);
  parser.add_option("-f,--file", options->file, "Text to run, specials parsed; -: standard input")
      .value_name("FILE")
      .required();
  parser.add_option("-o,--output", options->output, "File to write").value_name("FILE").required();
  parser.add_option("--tokens", options->num_tokens, "Only the first N tokens; 0: all")
      .value_name("N");
  parser.footer(
      "Windows of --ctx tokens (default 512) without overlap, which begin with BOS where the "
      "model\n"
      "wants it. The file is for 'quantize "
      "--imatrix'\n"
      "and llama-quantize --imatrix. Use text like that which the model will see.\n\n"
      "Examples:\n  ruvllm imatrix model-f16.gguf --file text.txt -o importance.gguf");
  command.run = [options](CommandContext& context) { return imatrix(*options, context); };
}

}  // namespace ruvllm::cli
