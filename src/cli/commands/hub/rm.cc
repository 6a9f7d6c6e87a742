#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/app.h"
#include "cli/commands/commands.h"
#include "cli/terminal/text.h"
#include <ruvllm/hub.h>

namespace ruvllm::cli {
namespace {

struct RemoveFlags {
  std::vector<std::string> names;
  bool force = false;
};

bool confirm(const std::vector<StoredModel>& models, const Output& output) {
  uint64_t bytes = 0;
  for (const StoredModel& model : models) {
    output.note(fmt::format("{}  {}  {}", model.name, format_bytes(model.bytes), model.path));
    bytes += model.bytes;
  }
  output.note(fmt::format("Remove {} ({})? [y/N]", models.size() == 1 ? "it" : "them",
                          format_bytes(bytes)));
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Status remove_models(const RemoveFlags& flags, CommandContext& context) {
  Output& output = context.output;
  RUVLLM_ASSIGN(const HubSettings settings, load_hub_settings());
  std::vector<StoredModel> models;
  for (const std::string& name : flags.names) {
    RUVLLM_ASSIGN(StoredModel model, find_stored_model(name, settings));
    models.push_back(std::move(model));
  }
  const bool ask = !flags.force && isatty(STDIN_FILENO) == 1 && output.err_is_terminal();
  if (ask && !confirm(models, output)) {
    output.note("Nothing is removed.");
    return {};
  }
  Json removed = Json::array();
  for (const StoredModel& model : models) {
    RUVLLM_ASSIGN(const RemovedModel result, remove_model(model, settings));
    removed.push_back({{"name", result.name}, {"bytes_freed", result.bytes_freed}});
    if (!output.json()) {
      output.write(
          fmt::format("{}: removed, {} freed\n", result.name, format_bytes(result.bytes_freed)));
    }
  }
  if (output.json()) output.write_json({{"removed", removed}});
  return {};
}

}  // namespace

void add_rm_command(CommandLine& line) {
  auto flags = std::make_shared<RemoveFlags>();
  CommandLine::Command& command =
      line.add("rm", "Remove models that have a name", CommonSet::kOutputOnly);
  command.parser.add_option("NAME", flags->names, "A name as `ruvllm list` shows it")
      .value_name("NAME")
      .required();
  command.parser.add_flag("-f,--force", flags->force, "Do not ask");
  command.parser.footer(
      "Files that other names share stay.\n\n"
      "Examples:\n  ruvllm rm qwen2.5:0.5b");
  command.run = [flags](CommandContext& context) { return remove_models(*flags, context); };
}

}  // namespace ruvllm::cli
