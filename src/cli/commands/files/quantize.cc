#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/commands/commands.h"
#include "cli/commands/model.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/stepwise.h"
#include "cli/terminal/text.h"
#include <ruvllm/quantize.h>

namespace ruvllm::cli {
namespace {

Json json_of(const QuantizedTensor& tensor, bool with_error) {
  Json row = {{"name", tensor.name}, {"from", tensor.from}, {"to", tensor.to}};
  if (with_error) row["relative_error"] = tensor.relative_error;
  return row;
}

// "q4_K 44, q6_K 5, f32 41": most bytes first.
std::string count_types(const QuantizeReport& report) {
  std::map<std::string, std::pair<uint64_t, uint32_t>> types;  // bytes, tensors
  for (const QuantizedTensor& tensor : report.tensors) {
    types[tensor.to].first += tensor.bytes;
    ++types[tensor.to].second;
  }
  std::multimap<uint64_t, std::string, std::greater<>> by_bytes;
  for (const auto& [name, total] : types) {
    by_bytes.emplace(total.first, fmt::format("{} {}", name, total.second));
  }
  std::vector<std::string> parts;
  for (const auto& [bytes, text] : by_bytes) parts.push_back(text);
  return fmt::format("{}", fmt::join(parts, ", "));
}

void write_errors(const QuantizeReport& report, Output& output) {
  using enum Table::Align;
  Table table({kLeft, kLeft, kLeft, kRight});
  table.add_row({"tensor", "from", "to", "error"});
  for (const QuantizedTensor& tensor : report.tensors) {
    table.add_row({tensor.name, tensor.from, tensor.to,
                   fmt::format("{:.4f} %", 100.0 * tensor.relative_error)});
  }
  output.write(table.render() + "\n");
}

void write_report(const QuantizeOptions& options, const QuantizeReport& report, double seconds,
                  Output& output) {
  if (output.json()) {
    Json tensors = Json::array();
    for (const QuantizedTensor& tensor : report.tensors) {
      tensors.push_back(json_of(tensor, options.measure_error));
    }
    output.write_json({{"input", options.input_path},
                       {"output", options.output_path},
                       {"type", options.type},
                       {"bytes", report.bytes},
                       {"bits_per_weight", report.bits_per_weight},
                       {"seconds", seconds},
                       {"weighted_tensors", report.num_weighted},
                       {"warnings", report.warnings},
                       {"tensors", std::move(tensors)}});
    return;
  }
  if (options.measure_error) write_errors(report, output);
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  table.add_row({"output", options.output_path});
  table.add_row({"size", fmt::format("{}, {:.2f} bits a weight", format_bytes(report.bytes),
                                     report.bits_per_weight)});
  table.add_row({"tensors", count_types(report)});
  if (!options.importance_path.empty()) {
    table.add_row({"importance", fmt::format("of {} tensors", report.num_weighted)});
  }
  table.add_row({"time", fmt::format("{:.1f} s", seconds)});
  output.write(table.render());
}

Status quantize(QuantizeOptions options, CommandContext& context) {
  options.num_threads = context.options.threads;
  const auto start = std::chrono::steady_clock::now();
  InterruptScope interrupt;
  RUVLLM_ASSIGN(Quantizer quantizer, Quantizer::create(options));
  Progress bar(context.output, "quantize", ProgressUnit::kBytes, quantizer.bytes_total());
  const std::string lost = fmt::format("{} is not written", options.output_path);
  RUVLLM_TRY(run_steps(quantizer, interrupt, lost,
                       [&] { bar.update(quantizer.bytes_done(), quantizer.current_tensor()); }));
  bar.finish();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  note_tokenizer_losses(quantizer.report().warnings, context.output);
  write_report(options, quantizer.report(), seconds.count(), context.output);
  return {};
}

}  // namespace

void add_quantize_command(CommandLine& line) {
  auto options = std::make_shared<QuantizeOptions>();
  CommandLine::Command& command =
      line.add("quantize", "Write a model in fewer bits", CommonSet::kOutputOnly);
  CommandParser& parser = command.parser;
  parser
      .add_option("IN", options->input_path,
                  "Model to read: a GGUF file or a Hugging Face folder, best in F32, F16 or BF16")
      .value_name("FILE")
      .required();
  add_output_argument(parser, options->output_path);
  parser
      .add_option("TYPE", options->type,
                  fmt::format("Type, in any case: {}", fmt::join(quantize_types(), ", ")))
      .value_name("TYPE")
      .required();
  parser
      .add_option("--imatrix", options->importance_path,
                  "Importance matrix (see 'ruvllm imatrix'): errors count where activations are")
      .value_name("FILE");
  parser.add_flag("--allow-requantize", options->allow_requantize,
                  "Also quantize tensors that are quantized already; they lose twice");
  parser.add_flag("--errors", options->measure_error, "Measure and list the error of each tensor");
  add_threads_flag(parser, command.flags);
  parser.footer(
      "Which tensor gets which type follows llama.cpp's mixtures.\n\n"
      "Examples:\n  ruvllm quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M --imatrix text.gguf");
  command.run = [options](CommandContext& context) { return quantize(*options, context); };
}

}  // namespace ruvllm::cli
