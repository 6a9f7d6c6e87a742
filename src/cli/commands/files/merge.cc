#include <memory>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/model.h"
#include "cli/options/request/adapter.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/stepwise.h"
#include "cli/terminal/text.h"
#include <ruvllm/adapter.h>

namespace ruvllm::cli {
namespace {

Status merge(const MergeOptions& options, CommandContext& context) {
  InterruptScope interrupt;
  RUVLLM_ASSIGN(Merger merger, Merger::create(options));
  Progress bar(context.output, "merge", ProgressUnit::kBytes, merger.bytes_total());
  const std::string lost = fmt::format("{} is not written", options.output_path);
  RUVLLM_TRY(run_steps(merger, interrupt, lost, [&] { bar.update(merger.bytes_done()); }));
  bar.finish();
  if (context.output.json()) {
    context.output.write_json({{"path", options.output_path},
                               {"merged_tensors", merger.merged_tensors()},
                               {"bytes", merger.bytes_done()}});
  } else {
    context.output.write(fmt::format("{}: {}, {} tensors merged\n", options.output_path,
                                     format_bytes(merger.bytes_done()), merger.merged_tensors()));
  }
  return {};
}

}  // namespace

void add_merge_command(CommandLine& line) {
  auto options = std::make_shared<MergeOptions>();
  CommandLine::Command& command =
      line.add("merge", "Work LoRA adapters into a model's own weights", CommonSet::kOutputOnly);
  CommandParser& parser = command.parser;
  parser.add_option("MODEL", options->model_path, "The model").value_name("FILE").required();
  add_output_argument(parser, options->output_path);
  add_adapter_flag(parser, options->adapters).required();
  parser.footer("Examples:\n  ruvllm merge model-f16.gguf merged.gguf --adapter style/:0.7");
  command.run = [options](CommandContext& context) { return merge(*options, context); };
}

}  // namespace ruvllm::cli
