#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/commands/commands.h"
#include "cli/terminal/interrupt.h"
#include "cli/terminal/progress.h"
#include "cli/terminal/text.h"
#include <ruvllm/hub.h>

namespace ruvllm::cli {
namespace {

struct PullFlags {
  PullOptions pull;
  bool offline = false;
};

// Notes first, then the bar, which begins when there is something to measure.
void show_progress(ModelPull& pull, std::optional<Progress>& bar, const Output& output) {
  for (const std::string& note : pull.take_notes()) {
    if (bar) bar->finish();
    output.note(note);
  }
  const PullProgress progress = pull.progress();
  if (progress.bytes_done == 0) return;
  if (!bar) {
    bar.emplace(output, "pull", ProgressUnit::kBytes, progress.bytes_total,
                progress.bytes_done - std::min(progress.bytes_done, progress.bytes_received));
  }
  bar->set_total(progress.bytes_total);
  std::string detail = progress.file;
  if (progress.num_files > 1) {
    detail = fmt::format("{} ({} of {})", detail,
                         std::min(progress.files_done + 1, progress.num_files), progress.num_files);
  }
  if (progress.activity != "downloading") detail += ", " + progress.activity;
  bar->update(progress.bytes_done, detail);
}

void write_result(const PulledModel& model, double seconds, Output& output) {
  if (output.json()) {
    output.write_json({{"name", model.name},
                       {"path", model.path},
                       {"revision", model.revision},
                       {"bytes", model.bytes},
                       {"bytes_received", model.bytes_received},
                       {"files", model.num_files},
                       {"seconds", seconds}});
    return;
  }
  const std::string how = model.bytes_received == 0
                              ? "nothing to fetch"
                              : fmt::format("{} fetched in {}", format_bytes(model.bytes_received),
                                            format_duration(seconds));
  output.write(fmt::format("{}: {}, {}\n{}\n", output.out_style().bold(model.name),
                           format_bytes(model.bytes), how, model.path));
}

Status pull_model(const PullFlags& flags, CommandContext& context) {
  RUVLLM_ASSIGN(HubSettings settings, load_hub_settings());
  settings.offline = settings.offline || flags.offline;
  const auto start = std::chrono::steady_clock::now();
  InterruptScope interrupt;
  RUVLLM_ASSIGN(ModelPull pull, ModelPull::create(flags.pull, settings));
  std::optional<Progress> bar;
  while (true) {
    const Result<bool> more = pull.step();
    show_progress(pull, bar, context.output);
    if (more && *more) {
      if (interrupt.pending()) pull.cancel();
      continue;
    }
    bar.reset();
    RUVLLM_TRY(more);
    break;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  write_result(pull.result(), elapsed.count(), context.output);
  return {};
}

}  // namespace

void add_pull_command(CommandLine& line) {
  auto flags = std::make_shared<PullFlags>();
  CommandLine::Command& command = line.add("pull", "Fetch a model by name", CommonSet::kOutputOnly);
  CLI::App& app = *command.app;
  app.add_option("NAME", flags->pull.name,
                 "hf:ORG/REPO[:QUANTIZATION or FILE][@REVISION], ollama:NAME[:TAG] or an https URL")
      ->type_name("NAME")
      ->required();
  app.add_option("--parts", flags->pull.num_parts, "Connections for one big file")
      ->type_name("N")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  app.add_flag("--offline", flags->offline, "Only look whether it is here");
  app.footer(
      "An interrupted pull goes on where it stopped. Files are checked against the hash that the\n"
      "server announced. A private or gated model needs HF_TOKEN.\n"
      "SSL_CERT_FILE names a PEM file of certificate authorities in place of the system's.\n\n"
      "Examples:\n"
      "  ruvllm pull hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M\n"
      "  ruvllm pull ollama:qwen2.5:0.5b\n"
      "  ruvllm run qwen2.5:0.5b -p 'Why is the sky blue?'");
  command.run = [flags](CommandContext& context) { return pull_model(*flags, context); };
}

}  // namespace ruvllm::cli
