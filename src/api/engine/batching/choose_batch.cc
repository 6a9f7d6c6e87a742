#include "api/engine/batching/choose_batch.h"

#include <algorithm>

#include "base/system/memory_info.h"
#include "engine/loop/cache_plan.h"
#include "model/workspace.h"

namespace ruvllm::api {
namespace {

bool is_by_memory(const EngineOptions& options) {
  return options.batch_memory_gb.has_value() ||
         (options.max_sequences == 0 && options.batch.decode_batch == 0);
}

uint64_t weight_bytes(const model::Model& model) {
  uint64_t bytes = 0;
  for (const formats::GgufTensor& tensor : model.file().tensors()) bytes += tensor.data.size();
  return bytes;
}

BatchNeeds needs_of(const EngineOptions& options, uint64_t available, const BatchModels& models) {
  const model::ModelConfig& config = models.model.config();
  BatchNeeds needs;
  needs.available = available;
  needs.weights = weight_bytes(models.model);
  needs.sequence = sequence_bytes(engine::page_shape(config), models.store, models.context_length) +
                   static_cast<uint64_t>(config.vocab_size) * sizeof(float);
  const auto workspace = [&](const model::Model& model) {
    return model::Workspace::required_bytes(
        models.device, model.config(), model.weights(),
        {.max_rows = static_cast<int32_t>(options.max_batch_tokens),
         .max_logit_rows = 1,
         .num_threads = models.num_threads,
         .context_length = static_cast<int32_t>(models.context_length)});
  };
  needs.workspace = workspace(models.model);
  if (models.draft != nullptr) {
    needs.weights += weight_bytes(*models.draft);
    needs.workspace += workspace(*models.draft);
    needs.sequence += sequence_bytes(engine::page_shape(models.draft->config()), KvStoreOptions{},
                                     models.context_length);
  }
  needs.adapter = models.adapter_bytes;
  return needs;
}

uint32_t first_set(uint32_t first, uint32_t second) { return first != 0 ? first : second; }

}  // namespace

uint64_t batch_memory(const EngineOptions& options) {
  const double gigabytes = options.batch_memory_gb.value_or(0.0);
  return gigabytes > 0.0 ? static_cast<uint64_t>(gigabytes * 1e9) : memory_info().budget;
}

uint32_t expected_sequences(const EngineOptions& options, uint64_t available) {
  if (options.max_sequences != 0) return options.max_sequences;
  if (options.batch.decode_batch != 0) return options.batch.decode_batch;
  return BatchConfig::for_memory(static_cast<float>(static_cast<double>(available) / 1e9))
      .decode_batch;
}

Result<ChosenBatch> choose_batch(const EngineOptions& options, uint64_t available,
                                 const BatchModels& models) {
  ChosenBatch chosen{options.batch, options.max_sequences, "as set"};
  if (is_by_memory(options)) {
    RUVLLM_ASSIGN(const BatchPlan plan,
                  BatchConfig::for_model(needs_of(options, available, models)));
    chosen.config.prefill_batch = first_set(options.batch.prefill_batch, plan.config.prefill_batch);
    chosen.config.decode_batch = first_set(options.batch.decode_batch, plan.config.decode_batch);
    chosen.config.lora_batch = first_set(options.batch.lora_batch, plan.config.lora_batch);
    chosen.reason = plan.reason;
  }
  if (chosen.max_sequences == 0) chosen.max_sequences = chosen.config.decode_batch;
  return chosen;
}

}  // namespace ruvllm::api
