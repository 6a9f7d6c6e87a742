#include <memory>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/commands/commands.h"
#include "cli/commands/model.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/stepwise.h"
#include "cli/terminal/text.h"
#include <ruvllm/convert.h>

namespace ruvllm::cli {
namespace {

Status convert(const ConvertOptions& options, CommandContext& context) {
  InterruptScope interrupt;
  RUVLLM_ASSIGN(Converter converter, Converter::create(options));
  Progress bar(context.output, "convert", ProgressUnit::kBytes, converter.bytes_total());
  const std::string lost = fmt::format("{} is not written", options.output_path);
  RUVLLM_TRY(run_steps(converter, interrupt, lost, [&] { bar.update(converter.bytes_done()); }));
  bar.finish();
  note_tokenizer_losses(converter.warnings(), context.output);
  if (context.output.json()) {
    context.output.write_json({{"path", options.output_path},
                               {"architecture", converter.architecture()},
                               {"type", options.type},
                               {"tensors", converter.num_tensors()},
                               {"bytes", converter.bytes_done()},
                               {"warnings", converter.warnings()}});
  } else {
    context.output.write(fmt::format("{}: {}, {} tensors, {}\n", options.output_path,
                                     converter.architecture(), converter.num_tensors(),
                                     format_bytes(converter.bytes_done())));
  }
  return {};
}

}  // namespace

void add_convert_command(CommandLine& line) {
  auto options = std::make_shared<ConvertOptions>();
  CommandLine::Command& command = line.add(
      "convert", "Convert a Hugging Face model folder to a GGUF file", CommonSet::kOutputOnly);
  CommandParser& parser = command.parser;
  parser
      .add_option("HF_DIR", options->input_path,
                  "Folder with config.json, tokenizer.json and *.safetensors")
      .value_name("DIR")
      .required();
  add_output_argument(parser, options->output_path);
  parser.add_option("--type", options->type, "Tensor type; auto: as in the folder")
      .choices(convert_types())
      .show_default();
  parser.footer("Examples:\n  ruvllm convert Qwen2.5-0.5B-Instruct qwen.gguf --type q8_0");
  command.run = [options](CommandContext& context) { return convert(*options, context); };
}

}  // namespace ruvllm::cli
