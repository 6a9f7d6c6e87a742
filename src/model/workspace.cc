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
  bytes = std::max(bytes, weights.token_embedding.row_stride);
  for (const LayerWeights& layer : weights.layers) {
    layer.for_each_product([&](const ops::LinearPlan& plan, double) {
      bytes = std::max(bytes, plan.scratch_bytes());
    });
  }
  return (bytes + 63) / 64 * 64;
}

}  // namespace

struct Workspace::Slots {
  Arena::Slot<float> residual, delta, q_or_gate, kv_or_up, cos, sin, logits, attn_parts;
  size_t num_attn_parts = 0;
  Arena::Slot<std::byte> scratch;
};

Workspace::Slots Workspace::lay_out(const device::CpuDevice& device, const ModelConfig& config,
                                    const ModelWeights& weights, const WorkspaceLimits& limits) {
  limits_ = limits;
  const int32_t max_rows = limits.max_rows;
  const int32_t max_logit_rows = config.has_output ? limits.max_logit_rows : 0;
  const auto rows_of = [&](int32_t dim) {
    return arena_.add<float>(static_cast<size_t>(max_rows) * static_cast<size_t>(dim));
  };
  Slots slots;
  slots.residual = rows_of(config.hidden_dim);
  slots.delta = rows_of(config.hidden_dim);
  // The attention block and the feed-forward block share two regions, for neither is read after the
  // other has begun; and each block's results take the place of what they are made of, row by row.
  const int32_t ffn_dim = config.experts ? 0 : config.ffn_dim;
  slots.q_or_gate = rows_of(std::max(config.q_dim(), ffn_dim));
  slots.kv_or_up = rows_of(std::max(2 * config.kv_dim(), config.has_ffn_gate ? ffn_dim : 0));
  const int32_t num_angles = static_cast<int32_t>(config.ropes.size()) * (config.rope_dim / 2);
  slots.cos = rows_of(num_angles);
  slots.sin = rows_of(num_angles);
  slots.logits = arena_.add<float>(static_cast<size_t>(max_logit_rows) *
                                   static_cast<size_t>(config.vocab_size));
  const InputKinds kinds = kinds_of(weights);
  hidden_in.plan(arena_, max_rows, config.hidden_dim, kinds.hidden);
  attn_in.plan_over(arena_, slots.q_or_gate, max_rows, config.q_dim(), kinds.attn);
  ffn_in.plan_over(arena_, slots.q_or_gate, max_rows, ffn_dim, kinds.ffn);
  if (config.experts) {
    experts.plan(arena_, max_rows, *weights.layers.front().experts, kinds.expert, kinds.ffn);
  }
  logits_in.plan(arena_, max_logit_rows, config.hidden_dim,
                 config.has_output ? weights.output.activation_kind() : ops::ActivationKinds{});
  lora.plan(arena_, max_rows, limits.num_threads);
  const ops::AttentionShape shape{config.num_heads, config.num_kv_heads, config.head_dim};
  slots.num_attn_parts =
      ops::attention_parts_floats(shape, limits.num_threads, limits.context_length);
  slots.attn_parts = arena_.add<float>(slots.num_attn_parts);
  scratch_stride_ = largest_scratch(device, config, weights);
  slots.scratch = arena_.add<std::byte>(scratch_stride_ * limits.num_threads);
  return slots;
}

uint64_t Workspace::required_bytes(const device::CpuDevice& device, const ModelConfig& config,
                                   const ModelWeights& weights, const WorkspaceLimits& limits) {
  Workspace planned;
  planned.lay_out(device, config, weights, limits);
  return planned.arena_.bytes();
}

Result<std::unique_ptr<Workspace>> Workspace::create(const device::CpuDevice& device,
                                                     const ModelConfig& config,
                                                     const ModelWeights& weights,
                                                     const WorkspaceLimits& limits) {
  std::unique_ptr<Workspace> ws(new Workspace());
  const Slots slots = ws->lay_out(device, config, weights, limits);
  Arena& arena = ws->arena_;
  RUVLLM_TRY(arena.commit(HugePages::kNo, "workspace"));

  ws->residual = arena.at(slots.residual);
  ws->delta = arena.at(slots.delta);
  ws->q = arena.at(slots.q_or_gate);
  ws->k = arena.at(slots.kv_or_up);
  ws->v = ws->k + static_cast<int64_t>(limits.max_rows) * config.kv_dim();
  ws->gate = ws->q;
  ws->up = config.has_ffn_gate ? ws->k : ws->gate;
  ws->rope_cos = arena.at(slots.cos);
  ws->rope_sin = arena.at(slots.sin);
  ws->logits = arena.at(slots.logits);
  for (ops::ActivationBuffer* buffer :
       {&ws->hidden_in, &ws->attn_in, &ws->ffn_in, &ws->logits_in}) {
    buffer->bind(arena);
  }
  ws->attn_parts = {arena.at(slots.attn_parts), slots.num_attn_parts};
  if (config.experts) ws->experts.bind(arena);
  ws->lora.bind(arena);
  ws->scratch_ = arena.at(slots.scratch);
  ws->narrowed.reserve(config.has_output ? limits.max_logit_rows : 0);
  return ws;
}

}  // namespace ruvllm::model
