#include "model/decoder/attention_block.h"

#include <array>

#include "model/decoder/adapters.h"
#include "model/decoder/residual.h"
#include "ops/attention.h"
#include "ops/linear.h"

namespace ruvllm::model {
namespace {

ops::AttentionShape attention_shape(const PassContext& c, int32_t layer_idx) {
  const ModelConfig& config = c.config;
  const std::vector<float>& sinks = c.layer_weights(layer_idx).attn_sinks;
  return {.num_heads = config.num_heads,
          .num_kv_heads = config.num_kv_heads,
          .head_dim = config.head_dim,
          .scale = config.attention_scale,
          .soft_cap = config.attention_soft_cap,
          .window = config.layer(layer_idx).window,
          .causal = config.causal,
          .sinks = sinks.empty() ? nullptr : sinks.data()};
}

void norm_heads(const PassContext& c, const std::vector<float>& weight, int32_t num_heads,
                float* heads) noexcept {
  const int32_t head_dim = c.config.head_dim;
  const bool per_head = c.config.qk_norm == QkNorm::kPerHead;
  const int32_t dim = per_head ? head_dim : num_heads * head_dim;
  const int32_t count = per_head ? num_heads : 1;
  for (int32_t i = 0; i < count; ++i) {
    float* part = row_of(heads, i, dim);
    c.kernels.elementwise.rms_norm(part, weight.data(), c.config.norm_epsilon, dim, part);
  }
}

void rotate(const PassContext& c, int32_t row_idx, int32_t rope_idx, float* q, float* k) noexcept {
  const ModelConfig& config = c.config;
  const kernels::ElementwiseKernels& elementwise = c.kernels.elementwise;
  const int32_t row = rope_idx * c.workspace.max_rows() + row_idx;
  const float* cos = row_of(c.workspace.rope_cos, row, config.rope_dim / 2);
  const float* sin = row_of(c.workspace.rope_sin, row, config.rope_dim / 2);
  const auto turn =
      config.rope_style == RopeStyle::kNeox ? elementwise.rope_neox : elementwise.rope_interleaved;
  turn(q, cos, sin, config.rope_dim, config.head_dim, config.num_heads);
  turn(k, cos, sin, config.rope_dim, config.head_dim, config.num_kv_heads);
}

// Norms and rotates a row's q and k where the layer does, and stores k and v in the cache.
void finish_qkv_row(const PassContext& c, const ops::BatchView& batch, int32_t row_idx,
                    int32_t layer_idx) noexcept {
  const ModelConfig& config = c.config;
  const LayerWeights& layer = c.layer_weights(layer_idx);
  float* q = row_of(c.workspace.q, row_idx, config.q_dim());
  float* k = row_of(c.workspace.k, row_idx, config.kv_dim());
  if (config.qk_norm != QkNorm::kNone) {
    norm_heads(c, layer.q_norm, config.num_heads, q);
    norm_heads(c, layer.k_norm, config.num_kv_heads, k);
  }
  const int32_t rope_idx = config.layer(layer_idx).rope_idx;
  if (rope_idx != kNoRope) rotate(c, row_idx, rope_idx, q, k);
  const ops::SpanView& span = batch.spans[batch.row_spans[row_idx]];
  ops::store_kv_row(c.kernels.elementwise, attention_shape(c, layer_idx), c.kv, layer_idx,
                    span.block_table, batch.positions[row_idx], k,
                    row_of(c.workspace.v, row_idx, config.kv_dim()));
}

}  // namespace

void run_attention_inputs(const PassContext& c, ThreadTeam::Worker& worker,
                          const ops::BatchView& batch, int32_t layer_idx) noexcept {
  const ModelConfig& config = c.config;
  const LayerWeights& layer = c.layer_weights(layer_idx);
  Workspace& ws = c.workspace;
  const int32_t rows = batch.num_rows;

  const ops::ActivationKinds qkv_kinds = layer.qkv_input_kinds();
  row_phase(worker, rows, layer.q, [&](int32_t row) {
    if (layer_idx > 0) {
      const LayerWeights& before = c.layer_weights(layer_idx - 1);
      add_block_output(c, row, before.ffn_post_norm, before.ffn_stream_norm);
    }
    prepare_block_input(c, row, layer.attn_norm, qkv_kinds);
  });
  if (layer_idx > 0) {
    tap_rows(c, worker, "out", layer_idx - 1, ws.residual, rows, config.hidden_dim);
  }
  if (config.pre_norms) {
    tap_rows(c, worker, "attn_norm", layer_idx, ws.hidden_in.row(0, config.hidden_dim), rows,
             config.hidden_dim);
  }

  const std::array<ops::LinearCall, 3> qkv = {
      {{&layer.q, ws.q}, {&layer.k, ws.k}, {&layer.v, ws.v}}};
  run_products(c, worker, batch, layer_idx, ProductGroup::kQkv, qkv, ws.hidden_in);
  row_phase(worker, rows, layer.attn_output,
            [&](int32_t row) { finish_qkv_row(c, batch, row, layer_idx); });
  ops::quantize_pages(worker, c.kernels.attention, attention_shape(c, layer_idx), batch, c.kv,
                      layer_idx);
  tap_rows(c, worker, "q", layer_idx, ws.q, rows, config.q_dim());
  tap_rows(c, worker, "k", layer_idx, ws.k, rows, config.kv_dim());
  tap_rows(c, worker, "v", layer_idx, ws.v, rows, config.kv_dim());
}

void run_attention_outputs(const PassContext& c, ThreadTeam::Worker& worker,
                           const ops::BatchView& batch, int32_t layer_idx) noexcept {
  const ModelConfig& config = c.config;
  const LayerWeights& layer = c.layer_weights(layer_idx);
  Workspace& ws = c.workspace;
  std::byte* scratch = ws.thread_scratch(worker.index());
  const int32_t rows = batch.num_rows;

  ops::run_attention(worker, c.kernels.attention, attention_shape(c, layer_idx), batch, c.kv,
                     layer_idx, ws.q, ws.attn_in.row(0, config.q_dim()), ws.attn_parts, scratch);
  row_phase(worker, rows, layer.attn_output, [&](int32_t row) {
    ws.attn_in.store_row(c.kernels.elementwise, row, config.q_dim(),
                         layer.attn_output.activation_kind());
  });
  tap_rows(c, worker, "attn_mixed", layer_idx, ws.attn_in.row(0, config.q_dim()), rows,
           config.q_dim());
  const std::array<ops::LinearCall, 1> output = {{{&layer.attn_output, ws.delta}}};
  run_products(c, worker, batch, layer_idx, ProductGroup::kAttnOutput, output, ws.attn_in);
  if (c.tap != nullptr) worker.barrier();
  tap_rows(c, worker, "attn_out", layer_idx, ws.delta, rows, config.hidden_dim);
}

}  // namespace ruvllm::model
