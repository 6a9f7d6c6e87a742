#include <algorithm>

#include "base/core/error.h"
#include <ruvllm/tune/batch.h>

namespace ruvllm {
namespace {

constexpr double kGigabyte = 1e9;

uint64_t times_that_fit(uint64_t room, uint64_t bytes, uint64_t most) {
  return bytes == 0 ? most : std::min(most, room / bytes);
}

std::string describe(const BatchNeeds& needs, const BatchPlan& plan, const BatchConfig& table) {
  const auto gigabytes = [](uint64_t bytes) { return static_cast<double>(bytes) / kGigabyte; };
  std::string text = fmt::format(
      "{:.2f} GB available: the table says {} prompts, {} sequences, {} adapters",
      gigabytes(needs.available), table.prefill_batch, table.decode_batch, table.lora_batch);
  const std::string model =
      fmt::format("weights {:.3f} GB, workspace {:.3f} GB, {:.4f} GB a sequence",
                  gigabytes(needs.weights), gigabytes(needs.workspace), gigabytes(needs.sequence));
  switch (plan.limit) {
    case BatchLimit::kTable:
      return fmt::format("{}, and they fit ({})", text, model);
    case BatchLimit::kSequences:
      return fmt::format("{}, but only {} sequences fit ({})", text, plan.config.decode_batch,
                         model);
    case BatchLimit::kAdapters:
      break;
  }
  return fmt::format("{}, but only {} adapters of {:.4f} GB fit ({})", text, plan.config.lora_batch,
                     gigabytes(needs.adapter), model);
}

}  // namespace

BatchConfig BatchConfig::for_memory(float available_gb) {
  if (available_gb < 8.0f) return {.prefill_batch = 1, .decode_batch = 4, .lora_batch = 16};
  if (available_gb < 16.0f) return {.prefill_batch = 2, .decode_batch = 8, .lora_batch = 32};
  return {.prefill_batch = 4, .decode_batch = 16, .lora_batch = 64};
}

Result<BatchPlan> BatchConfig::for_model(const BatchNeeds& needs) {
  const BatchConfig table =
      for_memory(static_cast<float>(static_cast<double>(needs.available) / kGigabyte));
  // Saturating: sizes come from files.
  const auto less = [](uint64_t room, uint64_t bytes) { return room > bytes ? room - bytes : 0; };
  uint64_t room = less(less(needs.available, needs.weights), needs.workspace);
  const uint64_t sequences = times_that_fit(room, needs.sequence, table.decode_batch);
  if (sequences == 0 || needs.available < needs.weights) {
    return fail(ErrorCode::kOutOfMemory,
                "not even one sequence fits: {} bytes are available; the weights take {}, the "
                "workspace {} and a sequence {}; lower --ctx or choose a smaller --kv-store",
                needs.available, needs.weights, needs.workspace, needs.sequence);
  }
  room -= sequences * needs.sequence;
  BatchPlan plan;
  plan.config.decode_batch = static_cast<uint32_t>(sequences);
  plan.config.prefill_batch = std::min(table.prefill_batch, plan.config.decode_batch);
  // A step with adapters carries at least one set; where it does not fit, loading it says so.
  plan.config.lora_batch = static_cast<uint32_t>(
      std::max<uint64_t>(times_that_fit(room, needs.adapter, table.lora_batch), 1));
  if (plan.config.lora_batch < table.lora_batch) plan.limit = BatchLimit::kAdapters;
  if (plan.config.decode_batch < table.decode_batch) plan.limit = BatchLimit::kSequences;
  plan.bytes = needs.weights + needs.workspace + sequences * needs.sequence;
  plan.reason = describe(needs, plan, table);
  return plan;
}

}  // namespace ruvllm
