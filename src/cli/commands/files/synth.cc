#include <memory>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/commands/commands.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/stepwise.h"
#include "cli/terminal/text.h"
#include <ruvllm/synth.h>

namespace ruvllm::cli {
namespace {

struct SynthFlags {
  SynthOptions synth;
  bool list = false;
};

void list_choices(Output& output) {
  const auto shapes = synth_shapes();
  const auto types = synth_types();
  if (output.json()) {
    output.write_json({{"shapes", shapes}, {"types", types}});
    return;
  }
  output.write(
      fmt::format("shapes  {}\ntypes   {}\n", fmt::join(shapes, " "), fmt::join(types, " ")));
}

Status synth(const SynthFlags& flags, CommandContext& context) {
  if (flags.list) {
    list_choices(context.output);
    return {};
  }
  InterruptScope interrupt;
  RUVLLM_ASSIGN(Synthesizer synthesizer, Synthesizer::create(flags.synth));
  Progress bar(context.output, "synth", ProgressUnit::kBytes, synthesizer.bytes_total());
  const std::string lost = fmt::format("{} is not written", flags.synth.output_path);
  RUVLLM_TRY(
      run_steps(synthesizer, interrupt, lost, [&] { bar.update(synthesizer.bytes_done()); }));
  bar.finish();
  if (context.output.json()) {
    context.output.write_json({{"path", flags.synth.output_path},
                               {"shape", flags.synth.shape},
                               {"type", flags.synth.type},
                               {"seed", flags.synth.seed},
                               {"bytes", synthesizer.bytes_done()}});
  } else {
    context.output.write(
        fmt::format("{}: {}\n", flags.synth.output_path, format_bytes(synthesizer.bytes_done())));
  }
  return {};
}

}  // namespace

void add_synth_command(CommandLine& line) {
  auto flags = std::make_shared<SynthFlags>();
  CommandLine::Command& command = line.add(
      "synth", "Write a model of random weights in a real model's shape", CommonSet::kOutputOnly);
  CommandParser& parser = command.parser;
  SynthOptions& options = flags->synth;
  const Option shape =
      parser.add_option("SHAPE", options.shape, "Whose shape").choices(synth_shapes());
  const Option type =
      parser.add_option("TYPE", options.type, "Tensor types").choices(synth_types());
  const Option file =
      parser.add_option("OUT.gguf", options.output_path, "File to write").value_name("FILE");
  parser
      .add_option("--tokenizer", options.tokenizer_path,
                  "Model file or folder whose tokenizer to copy; default: the bundled model")
      .value_name("FILE");
  parser.add_option("-s,--seed", options.seed, "Seed of the weights")
      .value_name("SEED")
      .show_default();
  parser.add_flag("--list", flags->list, "List shapes and types");
  parser.footer("Examples:\n  ruvllm synth qwen2.5-1.5b q4_k_m random.gguf --tokenizer model.gguf");
  parser.check([flags, shape, type, file]() -> Status {
    if (flags->list) return {};
    for (const Option& option : {shape, type, file}) {
      if (!option.given()) {
        return fail(ErrorCode::kInvalidArgument, "{} is required", option.name());
      }
    }
    return {};
  });
  command.run = [flags](CommandContext& context) { return synth(*flags, context); };
}

}  // namespace ruvllm::cli
