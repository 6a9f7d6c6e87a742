#include <ctime>
#include <string>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/commands/commands.h"
#include "cli/terminal/text.h"
#include <ruvllm/hub.h>

namespace ruvllm::cli {
namespace {

std::string local_date(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm fields{};
  if (localtime_r(&time, &fields) == nullptr) return "?";
  return fmt::format("{:%Y-%m-%d %H:%M}", fields);
}

Json list_json(const std::vector<StoredModel>& models) {
  Json rows = Json::array();
  for (const StoredModel& model : models) {
    rows.push_back({{"name", model.name},
                    {"bytes", model.bytes},
                    {"modified", model.modified_seconds},
                    {"source", model.source},
                    {"path", model.path},
                    {"removable", model.removable}});
  }
  return Json{{"models", rows}};
}

std::string list_table(const std::vector<StoredModel>& models, const Style& style) {
  using enum Table::Align;
  Table table({kLeft, kRight, kLeft, kLeft, kLeft});
  table.add_row({"NAME", "SIZE", "MODIFIED", "SOURCE", "PATH"});
  for (const StoredModel& model : models) {
    table.add_row({model.name, format_bytes(model.bytes), local_date(model.modified_seconds),
                   model.removable ? model.source : model.source + " (installed)", model.path});
  }
  std::string text = table.render();
  const size_t end = text.find('\n');
  return style.bold(text.substr(0, end)) + text.substr(end);
}

Status list(CommandContext& context) {
  RUVLLM_ASSIGN(const HubSettings settings, load_hub_settings());
  const std::vector<StoredModel> models = list_models(settings);
  if (context.output.json()) {
    context.output.write_json(list_json(models));
  } else if (models.empty()) {
    context.output.note("No models yet; `ruvllm pull NAME` fetches one.");
  } else {
    context.output.write(list_table(models, context.output.out_style()));
  }
  return {};
}

}  // namespace

void add_list_command(CommandLine& line) {
  CommandLine::Command& command =
      line.add("list", "List the models that have a name", CommonSet::kOutputOnly);
  command.parser.footer(
      "Shows what was pulled here, what other programs put into Hugging Face's cache, and the\n"
      "models of an installed Ollama.\n\n"
      "Examples:\n  ruvllm list --json");
  command.run = [](CommandContext& context) { return list(context); };
}

}  // namespace ruvllm::cli
