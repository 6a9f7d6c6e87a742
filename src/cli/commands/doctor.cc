#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "cli/commands/commands.h"
#include "cli/commands/memory_report.h"
#include "cli/commands/model.h"
#include "cli/terminal/text.h"
#include <ruvllm/engine.h>
#include <ruvllm/inspect.h>

namespace ruvllm::cli {
namespace {

// Of this process; 0: no limit.
uint64_t process_limit(int resource) {
  rlimit limit{};
  const auto kind = static_cast<__rlimit_resource_t>(resource);
  if (getrlimit(kind, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  return limit.rlim_cur;
}

Json doctor_json(const SystemReport& system, const CommonOptions& options) {
  Json kernels = Json::object();
  for (const auto& [operation, implementation] : system.kernels) {
    kernels[operation] = implementation;
  }
  return Json{{"version", system.version},
              {"device", device_name(options.device)},
              {"devices", system.devices},
              {"cpu", {{"name", system.cpu_name}, {"features", system.cpu_features}}},
              {"isa", system.isa},
              {"isas_available", system.isas_available},
              {"kernels", kernels},
              {"threads",
               {{"default", system.num_threads},
                {"chosen", options.threads > 0 ? options.threads : system.num_threads}}},
              {"topology",
               {{"source", system.topology_source},
                {"cores", system.physical_cores},
                {"fast_cores", system.fast_cores},
                {"memory_nodes", system.memory_nodes}}},
              {"memory", {{"total", system.memory_total}, {"available", system.memory_available}}},
              {"limits",
               {{"logical_processors", system.logical_processors},
                {"allowed_processors", system.allowed_processors},
                {"cpu_quota", system.cpu_quota},
                {"memory_bytes", system.memory_limit},
                {"address_space_bytes", process_limit(RLIMIT_AS)},
                {"locked_memory_bytes", process_limit(RLIMIT_MEMLOCK)},
                {"open_files", process_limit(RLIMIT_NOFILE)}}},
              {"settings", {{"model", options.model}, {"ctx", options.ctx}}}};
}

std::string limit_text(uint64_t bytes) { return bytes > 0 ? format_bytes(bytes) : "none"; }

std::string doctor_table(const SystemReport& system, const CommonOptions& options) {
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  table.add_row({"version", system.version});
  table.add_row({"processor", system.cpu_name});
  table.add_row({"features", fmt::format("{}", fmt::join(system.cpu_features, " "))});
  table.add_row({"kernels for", fmt::format("{} (available: {})", system.isa,
                                            fmt::join(system.isas_available, " "))});
  table.add_row({"devices", fmt::format("{}", fmt::join(system.devices, " "))});
  const uint32_t threads = options.threads > 0 ? options.threads : system.num_threads;
  table.add_row(
      {"threads",
       fmt::format("{} (processors {}, allowed {}, quota {})", threads, system.logical_processors,
                   system.allowed_processors,
                   system.cpu_quota > 0.0 ? fmt::format("{:.2f}", system.cpu_quota) : "none")});
  table.add_row(
      {"topology", fmt::format("{} cores, {} of them fast, {} memory node{} (by {})",
                               system.physical_cores, system.fast_cores, system.memory_nodes,
                               system.memory_nodes == 1 ? "" : "s", system.topology_source)});
  table.add_row(
      {"memory", fmt::format("{} available of {}, limit {}", format_bytes(system.memory_available),
                             format_bytes(system.memory_total), limit_text(system.memory_limit))});
  table.add_row({"limits", fmt::format("address space {}, locked memory {}, open files {}",
                                       limit_text(process_limit(RLIMIT_AS)),
                                       limit_text(process_limit(RLIMIT_MEMLOCK)),
                                       process_limit(RLIMIT_NOFILE))});
  table.add_row({"model", options.model.empty() ? "the bundled one" : options.model});
  for (const auto& [operation, implementation] : system.kernels) {
    table.add_row({"  " + operation, implementation});
  }
  return table.render();
}

// A model as it is when it is loaded and has not yet run.
Result<std::unique_ptr<Engine>> open_model(const CommandContext& context,
                                           const std::string& model) {
  RUVLLM_ASSIGN(EngineOptions options, engine_options(context, model));
  if (options.weights == WeightForm::kAuto) options.weights = WeightForm::kPacked;
  options.max_sequences = 0;
  return Engine::create(options);
}

// What a step carries: of a model as chosen, without one as the table has it.
struct BatchChoice {
  BatchConfig config;
  std::string reason;
};

BatchChoice choice_by_table(const SystemReport& system, const CommonOptions& options) {
  const double gigabytes = options.batch_memory_gb.value_or(0.0) > 0.0
                               ? *options.batch_memory_gb
                               : static_cast<double>(system.memory_budget) / 1e9;
  return {BatchConfig::for_memory(static_cast<float>(gigabytes)),
          fmt::format("the table for {:.2f} GB; with MODEL: what fits beside it", gigabytes)};
}

Json batch_json(const BatchChoice& choice) {
  return Json{{"prefill_batch", choice.config.prefill_batch},
              {"decode_batch", choice.config.decode_batch},
              {"lora_batch", choice.config.lora_batch},
              {"reason", choice.reason}};
}

std::string batch_text(const BatchChoice& choice) {
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  table.add_row({"batch", fmt::format("{} prompts, {} sequences, {} adapters in a step",
                                      choice.config.prefill_batch, choice.config.decode_batch,
                                      choice.config.lora_batch)});
  table.add_row({"", choice.reason});
  return table.render();
}

Status doctor(CommandContext& context, const std::string& model) {
  RUVLLM_ASSIGN(const SystemReport system, describe_system(context.options.cpu_isa));
  const char* device = device_name(context.options.device);
  if (std::ranges::find(system.devices, device) == system.devices.end()) {
    return fail(ErrorCode::kUnsupported, "device '{}' is not available here; there are: {}", device,
                fmt::join(system.devices, " "));
  }
  Json json = doctor_json(system, context.options);
  std::string text = doctor_table(system, context.options);
  BatchChoice batch = choice_by_table(system, context.options);
  if (!model.empty()) {
    RUVLLM_ASSIGN(const std::unique_ptr<Engine> engine, open_model(context, model));
    const MemoryReport memory = engine->memory();
    json["model_memory"] = memory_json(memory);
    text += "\n" + memory_table(memory);
    batch = {engine->info().batch, engine->info().batch_reason};
  }
  json["batch"] = batch_json(batch);
  text += "\n" + batch_text(batch);
  if (context.output.json()) {
    context.output.write_json(json);
  } else {
    context.output.write(text);
  }
  return {};
}

}  // namespace

void add_doctor_command(CommandLine& line) {
  CommandLine::Command& command =
      line.add("doctor", "Show what this machine offers and what was chosen", CommonSet::kAll);
  auto model = std::make_shared<std::string>();
  add_model_argument(command.parser, *model);
  command.parser.footer(
      "With MODEL: also what it takes in memory, and the batches that fit beside it.\n\n"
      "Examples:\n  ruvllm doctor --json\n  ruvllm doctor model.gguf");
  command.run = [model](CommandContext& context) { return doctor(context, *model); };
}

}  // namespace ruvllm::cli
