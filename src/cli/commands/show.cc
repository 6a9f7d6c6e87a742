#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/model.h"
#include "cli/terminal/text.h"
#include <ruvllm/inspect.h>

namespace ruvllm::cli {
namespace {

struct ShowOptions {
  std::string model;
  bool metadata = false;
  bool tensors = false;
  bool chat_template = false;
};

Json model_json(const ModelSummary& model) {
  Json metadata = Json::object();
  for (const auto& [key, value] : model.metadata) metadata[key] = value;
  Json tensors = Json::array();
  for (const TensorSummary& tensor : model.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"dtype", tensor.dtype},
                       {"dims", tensor.dims},
                       {"bytes", tensor.bytes}});
  }
  return Json{{"path", model.path},
              {"format", model.format},
              {"architecture", model.architecture},
              {"name", model.name},
              {"num_parameters", model.num_parameters},
              {"file_bytes", model.file_bytes},
              {"bits_per_weight", model.bits_per_weight},
              {"main_dtype", model.main_dtype},
              {"context_length", model.context_length},
              {"vocab_size", model.vocab_size},
              {"vocabulary_only", model.vocabulary_only},
              {"supported", model.supported},
              {"unsupported_reason", model.unsupported_reason},
              {"chat_template", model.chat_template},
              {"metadata", metadata},
              {"tensors", tensors}};
}

std::string summary_table(const ModelSummary& model) {
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  table.add_row({"file", model.path});
  table.add_row({"format", model.format});
  table.add_row({"name", model.name});
  table.add_row({"architecture", model.architecture});
  table.add_row({"parameters", format_count(model.num_parameters)});
  table.add_row(
      {"size", fmt::format("{}, {:.2f} bits a weight, mostly {}", format_bytes(model.file_bytes),
                           model.bits_per_weight, model.main_dtype)});
  table.add_row({"context", fmt::format("{} tokens", model.context_length)});
  table.add_row({"vocabulary", fmt::format("{} tokens{}", model.vocab_size,
                                           model.vocabulary_only ? ", no weights" : "")});
  table.add_row({"chat template", model.chat_template.empty() ? "no" : "yes"});
  table.add_row({"runs here", model.supported ? "yes" : "no: " + model.unsupported_reason});
  return table.render();
}

std::string tensor_table(const ModelSummary& model) {
  using enum Table::Align;
  Table table({kLeft, kLeft, kRight, kRight});
  for (const TensorSummary& tensor : model.tensors) {
    table.add_row({tensor.name, tensor.dtype, fmt::format("{}", fmt::join(tensor.dims, " x ")),
                   format_bytes(tensor.bytes)});
  }
  return table.render();
}

std::string metadata_table(const ModelSummary& model) {
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  for (const auto& [key, value] : model.metadata) table.add_row({key, value});
  return table.render();
}

Status show(const ShowOptions& options, CommandContext& context) {
  RUVLLM_ASSIGN(const std::string path, resolve_model(context, options.model));
  RUVLLM_ASSIGN(const ModelSummary model, inspect_model(path));
  Output& output = context.output;
  if (output.json()) {
    output.write_json(model_json(model));
    return {};
  }
  if (!options.metadata && !options.tensors && !options.chat_template) {
    output.write(summary_table(model));
  }
  if (options.metadata) output.write(metadata_table(model));
  if (options.tensors) output.write(tensor_table(model));
  if (options.chat_template && model.chat_template.empty()) {
    return fail(ErrorCode::kNotFound, "{}: the model has no chat template", path);
  }
  if (options.chat_template) output.write(model.chat_template + "\n");
  return {};
}

}  // namespace

void add_show_command(CommandLine& line) {
  auto options = std::make_shared<ShowOptions>();
  CommandLine::Command& command = line.add("show", "Show what is in a model file", CommonSet::kAll);
  add_model_argument(command.parser, options->model);
  command.parser.add_flag("--metadata", options->metadata, "All keys and values");
  command.parser.add_flag("--tensors", options->tensors,
                          "Name, type, dimensions and size of tensors");
  command.parser.add_flag("--template", options->chat_template, "The chat template");
  command.parser.footer("Examples:\n  ruvllm show model.gguf --tensors");
  command.run = [options](CommandContext& context) { return show(*options, context); };
}

}  // namespace ruvllm::cli
