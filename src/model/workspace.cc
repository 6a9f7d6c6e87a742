#include "model/workspace.h"

#include <algorithm>

namespace ruvllm::model {
namespace {

struct InputKinds {
  ops::ActivationKinds hidden = 0, attn = 0, expert = 0, ffn = 0;
};

InputKinds kinds_of(const ModelWeights& weights) {
  InputKinds kinds;
  for (const LayerWeights& layer : weights.layers) {
    kinds.hidden |= layer.qkv_input_kinds();
    kinds.hidden |= layer.ffn_input_kinds();
    kinds.attn |= layer.attn_output.activation_kind();
    if (layer.experts) {
      kinds.expert |= layer.experts->gate.activation_kind();
      kinds.expert |= layer.experts->up.activation_kind();
      kinds.ffn |= layer.experts->down.activation_kind();
    } else {
      kinds.ffn |= layer.down.activation_kind();
    }
  }
  return kinds;
}

size_t largest_scratch(const device::CpuDevice& device, const ModelConfig& config,
                       const ModelWeights& weights) {
  const ops::AttentionShape shape{config.num_heads, config.num_kv_heads, config.head_dim};
  size_t bytes = ops::attention_scratch_bytes(device.kernels().attention, shape);
  if (config.has_output) bytes = std::max(bytes, weights.output.scratch_bytes());
  for (const LayerWeights& layer : weights.layers) {
    layer.for_each_product([&](const ops::LinearPlan& plan, double) {
      bytes = std::max(bytes, plan.scratch_bytes());
    });
  }
  return (bytes + 63) / 64 * 64;
}

}  // namespace

Result<std::unique_ptr<Workspace>> Workspace::create(const device::CpuDevice& device,
                                                     const ModelConfig& config,
                                                     const ModelWeights& weights,
                                                     const WorkspaceLimits& limits) {
  std::unique_ptr<Workspace> ws(new Workspace());
  ws->limits_ = limits;
  const int32_t max_rows = limits.max_rows;
  const int32_t max_logit_rows = config.has_output ? limits.max_logit_rows : 0;
  Arena& arena = ws->arena_;
  const auto rows_of = [&](int32_t dim) {
    return arena.add<float>(static_cast<size_t>(max_rows) * static_cast<size_t>(dim));
  };
  const auto residual = rows_of(config.hidden_dim), delta = rows_of(config.hidden_dim);
  const auto q = rows_of(config.q_dim());
  const auto k = rows_of(config.kv_dim()), v = rows_of(config.kv_dim());
  const int32_t ffn_dim = config.experts ? 0 : config.ffn_dim;
  const auto gate = rows_of(config.has_ffn_gate ? ffn_dim : 0), up = rows_of(ffn_dim);
  const int32_t num_angles = static_cast<int32_t>(config.ropes.size()) * (config.rope_dim / 2);
  const auto cos = rows_of(num_angles), sin = rows_of(num_angles);
  const auto logits = arena.add<float>(static_cast<size_t>(max_logit_rows) *
                                       static_cast<size_t>(config.vocab_size));
  const InputKinds kinds = kinds_of(weights);
  ws->hidden_in.plan(arena, max_rows, config.hidden_dim, kinds.hidden);
  ws->attn_in.plan(arena, max_rows, config.q_dim(), kinds.attn);
  ws->ffn_in.plan(arena, max_rows, ffn_dim, kinds.ffn);
  if (config.experts) {
    ws->experts.plan(arena, max_rows, *weights.layers.front().experts, kinds.expert, kinds.ffn);
  }
  ws->logits_in.plan(arena, max_logit_rows, config.hidden_dim,
                     config.has_output ? weights.output.activation_kind() : ops::ActivationKinds{});
  ws->lora.plan(arena, max_rows, limits.num_threads);
  const ops::AttentionShape shape{config.num_heads, config.num_kv_heads, config.head_dim};
  const size_t parts_floats =
      ops::attention_parts_floats(shape, limits.num_threads, limits.context_length);
  const auto attn_parts = arena.add<float>(parts_floats);
  ws->scratch_stride_ = largest_scratch(device, config, weights);
  const auto scratch = arena.add<std::byte>(ws->scratch_stride_ * limits.num_threads);
  RUVLLM_TRY(arena.commit(HugePages::kNo, "workspace"));

  ws->residual = arena.at(residual);
  ws->delta = arena.at(delta);
  ws->q = arena.at(q);
  ws->k = arena.at(k);
  ws->v = arena.at(v);
  ws->gate = arena.at(gate);
  ws->up = arena.at(up);
  ws->rope_cos = arena.at(cos);
  ws->rope_sin = arena.at(sin);
  ws->logits = arena.at(logits);
  for (ops::ActivationBuffer* buffer :
       {&ws->hidden_in, &ws->attn_in, &ws->ffn_in, &ws->logits_in}) {
    buffer->bind(arena);
  }
  ws->attn_parts = {arena.at(attn_parts), parts_floats};
  if (config.experts) ws->experts.bind(arena);
  ws->lora.bind(arena);
  ws->scratch_ = arena.at(scratch);
  ws->narrowed.reserve(max_logit_rows);
  return ws;
}

}  // namespace ruvllm::model
