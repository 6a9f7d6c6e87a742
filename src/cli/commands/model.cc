#include "cli/commands/model.h"

#include <fmt/format.h>

#include <ruvllm/hub.h>
#include <ruvllm/settings.h>

namespace ruvllm::cli {

void add_model_argument(CommandParser& command, std::string& model) {
  command.add_option("MODEL", model, kModelHelp).value_name("FILE");
}

void add_output_argument(CommandParser& command, std::string& path) {
  command.add_option("OUT.gguf", path, "File to write").value_name("FILE").required();
}

Result<std::string> resolve_model(const CommandContext& context, const std::string& positional) {
  if (!positional.empty()) return ruvllm::resolve_model(positional);
  if (!context.options.model.empty()) return ruvllm::resolve_model(context.options.model);
  return bundled_model_path();
}

Result<EngineOptions> engine_options(const CommandContext& context, const std::string& positional) {
  EngineOptions options;
  RUVLLM_ASSIGN(options.model_path, resolve_model(context, positional));
  options.num_threads = context.options.threads;
  options.context_length = context.options.ctx;
  options.device = context.options.device;
  options.cpu_isa = context.options.cpu_isa;
  options.weights = context.options.weights;
  options.max_packed_bytes = uint64_t{context.options.packed_mib} << 20;
  options.kv_cache = context.options.kv_cache;
  options.batch = context.options.batch;
  options.batch_memory_gb = context.options.batch_memory_gb;
  if (options.batch_memory_gb) options.max_sequences = 0;
  options.max_step_ms = context.options.max_step_ms;
  options.max_cache_bytes = uint64_t{context.options.kv_mib} << 20;
  return options;
}

void note_tokenizer_losses(const std::vector<std::string>& losses, Output& output) {
  for (const std::string& loss : losses) {
    output.note(fmt::format("ruvllm: warning: GGUF cannot say of the tokenizer: {}", loss));
  }
}

}  // namespace ruvllm::cli
