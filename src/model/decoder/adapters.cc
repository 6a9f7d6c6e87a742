#include "model/decoder/adapters.h"

#include <array>

#include "ops/lora.h"

namespace ruvllm::model {
namespace {

using ops::LoraTarget;

constexpr std::array kQkvTargets = {LoraTarget::kQ, LoraTarget::kK, LoraTarget::kV};
constexpr std::array kAttnOutputTargets = {LoraTarget::kAttnOutput};
constexpr std::array kGateUpTargets = {LoraTarget::kGate, LoraTarget::kUp};
constexpr std::array kDownTargets = {LoraTarget::kDown};

ops::LoraGroup lora_group(const PassContext& c, int32_t layer_idx, ProductGroup group) {
  switch (group) {
    case ProductGroup::kQkv:
      return {layer_idx, kQkvTargets, c.config.hidden_dim};
    case ProductGroup::kAttnOutput:
      return {layer_idx, kAttnOutputTargets, c.config.q_dim()};
    case ProductGroup::kGateUp: {
      const size_t first = c.layer_weights(layer_idx).has_gate() ? 0 : 1;
      return {layer_idx, std::span(kGateUpTargets).subspan(first), c.config.hidden_dim};
    }
    case ProductGroup::kDown:
      break;
  }
  return {layer_idx, kDownTargets, c.config.ffn_dim};
}

// The group whose adapters are read next; none after the last layer's.
ops::LoraGroup next_group(const PassContext& c, int32_t layer_idx, ProductGroup group) {
  const bool ends_layer =
      group == ProductGroup::kDown ||
      (group == ProductGroup::kAttnOutput && c.layer_weights(layer_idx).experts.has_value());
  if (!ends_layer) {
    return lora_group(c, layer_idx, static_cast<ProductGroup>(static_cast<int>(group) + 1));
  }
  if (layer_idx + 1 == c.config.num_layers) return {};
  return lora_group(c, layer_idx + 1, ProductGroup::kQkv);
}

}  // namespace

void run_products(const PassContext& c, ThreadTeam::Worker& worker, const ops::BatchView& batch,
                  int32_t layer_idx, ProductGroup group, std::span<const ops::LinearCall> calls,
                  const ops::ActivationBuffer& input) noexcept {
  Workspace& ws = c.workspace;
  std::byte* scratch = ws.thread_scratch(worker.index());
  if (!c.has_adapters) return ops::run_linear(worker, calls, input, batch.num_rows, scratch);
  const ops::LoraPass pass = {c.kernels, batch, ws.lora, &ws.lora_ns};
  const ops::LoraGroup own = lora_group(c, layer_idx, group);
  ops::project_lora(worker, pass, own, input.row(0, own.in_dim));
  worker.barrier();
  ops::run_linear_with_lora(worker, pass, own, calls, input, next_group(c, layer_idx, group),
                            scratch);
}

}  // namespace ruvllm::model
