#include "model/decoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "ops/attention.h"
#include "ops/linear.h"
#include "tensor/codec.h"

namespace ruvllm::model {
namespace {

ops::AttentionShape attention_shape(const ModelConfig& config) {
  return {config.num_heads, config.num_kv_heads, config.head_dim,
          1.0f / std::sqrt(static_cast<float>(config.head_dim))};
}

float* row_of(float* base, int32_t row_idx, int32_t dim) {
  return base + static_cast<int64_t>(row_idx) * dim;
}

}  // namespace

// Work on rows between two products. It starts after the barrier that the product before it owes
// and ends with one. Few rows are done by the last thread to arrive, which saves the second
// barrier; the others fetch the weights of the next product meanwhile.
template <typename Body>
void DecoderPass::row_phase(ThreadTeam::Worker& worker, int32_t num_rows,
                            const ops::LinearPlan& next, Body&& body) const noexcept {
  constexpr int32_t kFewRows = 2;
  if (num_rows <= kFewRows) {
    worker.barrier(
        [&] {
          for (int32_t row = 0; row < num_rows; ++row) body(row);
        },
        ops::WeightPrefetch(next));
    return;
  }
  worker.barrier();
  // Chunks of a page's tokens keep two threads off the same lines of the transposed keys.
  const int64_t threads = worker.num_threads();
  const int64_t chunk = std::min<int64_t>(kernels::kPageTokens, (num_rows + threads - 1) / threads);
  worker.for_chunks(num_rows, chunk, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(static_cast<int32_t>(row));
  });
  worker.barrier();
}

void DecoderPass::tap(ThreadTeam::Worker& worker, std::string_view site, int32_t layer_idx,
                      const float* rows, int32_t num_rows, int32_t num_cols) const noexcept {
  if (c_.tap == nullptr) return;
  worker.barrier([&] { c_.tap->record(site, layer_idx, rows, num_rows, num_cols); });
}

void DecoderPass::embed(ThreadTeam::Worker& worker, const ops::BatchView& batch) const noexcept {
  const int32_t hidden = c_.config.hidden_dim, angles = c_.config.rope_dim / 2;
  Workspace& ws = c_.workspace;
  row_phase(worker, batch.num_rows, c_.weights.layers[0].q, [&](int32_t row) {
    const MatrixView& table = c_.weights.token_embedding;
    decode_row(table.dtype, table.row(static_cast<size_t>(batch.tokens[row])),
               static_cast<size_t>(hidden), row_of(ws.residual, row, hidden));
    c_.rope.fill(batch.positions[row], row_of(ws.rope_cos, row, angles),
                 row_of(ws.rope_sin, row, angles));
  });
  tap(worker, "embd", -1, ws.residual, batch.num_rows, hidden);
}

// residual += delta where the block before left one, then norm and quantize.
void DecoderPass::norm_row(int32_t row_idx, bool add_delta, const std::vector<float>& weight,
                           ops::ActivationKinds kinds) const noexcept {
  const int32_t hidden = c_.config.hidden_dim;
  const kernels::ElementwiseKernels& elementwise = c_.kernels.elementwise;
  Workspace& ws = c_.workspace;
  float* residual = row_of(ws.residual, row_idx, hidden);
  if (add_delta) elementwise.add(row_of(ws.delta, row_idx, hidden), hidden, residual);
  elementwise.rms_norm(residual, weight.data(), c_.config.norm_epsilon, hidden,
                       ws.hidden_in.row(row_idx, hidden));
  ws.hidden_in.store_row(elementwise, row_idx, hidden, kinds);
}

void DecoderPass::rotate_and_store_row(const ops::BatchView& batch, int32_t row_idx,
                                       int32_t layer_idx) const noexcept {
  const ModelConfig& config = c_.config;
  const kernels::ElementwiseKernels& elementwise = c_.kernels.elementwise;
  Workspace& ws = c_.workspace;
  const float* cos = row_of(ws.rope_cos, row_idx, config.rope_dim / 2);
  const float* sin = row_of(ws.rope_sin, row_idx, config.rope_dim / 2);
  float* q = row_of(ws.q, row_idx, config.q_dim());
  float* k = row_of(ws.k, row_idx, config.kv_dim());
  const auto rotate =
      config.rope_style == RopeStyle::kNeox ? elementwise.rope_neox : elementwise.rope_interleaved;
  rotate(q, cos, sin, config.rope_dim, config.head_dim, config.num_heads);
  rotate(k, cos, sin, config.rope_dim, config.head_dim, config.num_kv_heads);
  const ops::SpanView& span = batch.spans[batch.row_spans[row_idx]];
  ops::store_kv_row(elementwise, attention_shape(config), c_.kv, layer_idx, span.block_table,
                    batch.positions[row_idx], k, row_of(ws.v, row_idx, config.kv_dim()));
}

void DecoderPass::attention_block(ThreadTeam::Worker& worker, const ops::BatchView& batch,
                                  int32_t layer_idx) const noexcept {
  const ModelConfig& config = c_.config;
  const LayerWeights& layer = c_.weights.layers[static_cast<size_t>(layer_idx)];
  Workspace& ws = c_.workspace;
  std::byte* scratch = ws.thread_scratch(worker.index());
  const int32_t rows = batch.num_rows;
  const bool first_layer = layer_idx == 0;

  const ops::ActivationKinds qkv_kinds =
      layer.q.activation_kind() | layer.k.activation_kind() | layer.v.activation_kind();
  row_phase(worker, rows, layer.q,
            [&](int32_t row) { norm_row(row, !first_layer, layer.attn_norm, qkv_kinds); });
  if (!first_layer) tap(worker, "out", layer_idx - 1, ws.residual, rows, config.hidden_dim);
  tap(worker, "attn_norm", layer_idx, ws.hidden_in.row(0, config.hidden_dim), rows,
      config.hidden_dim);

  const std::array<ops::LinearCall, 3> qkv = {
      {{&layer.q, ws.q}, {&layer.k, ws.k}, {&layer.v, ws.v}}};
  ops::run_linear(worker, qkv, ws.hidden_in, rows, scratch);
  row_phase(worker, rows, layer.attn_output,
            [&](int32_t row) { rotate_and_store_row(batch, row, layer_idx); });
  tap(worker, "q", layer_idx, ws.q, rows, config.q_dim());
  tap(worker, "k", layer_idx, ws.k, rows, config.kv_dim());
  tap(worker, "v", layer_idx, ws.v, rows, config.kv_dim());

  ops::run_attention(worker, c_.kernels.attention, attention_shape(config), batch, c_.kv, layer_idx,
                     ws.q, ws.attn_in.row(0, config.q_dim()), scratch);
  row_phase(worker, rows, layer.attn_output, [&](int32_t row) {
    ws.attn_in.store_row(c_.kernels.elementwise, row, config.q_dim(),
                         layer.attn_output.activation_kind());
  });
  tap(worker, "attn_mixed", layer_idx, ws.attn_in.row(0, config.q_dim()), rows, config.q_dim());
  const std::array<ops::LinearCall, 1> output = {{{&layer.attn_output, ws.delta}}};
  ops::run_linear(worker, output, ws.attn_in, rows, scratch);
}

void DecoderPass::feed_forward_block(ThreadTeam::Worker& worker, int32_t rows,
                                     int32_t layer_idx) const noexcept {
  const ModelConfig& config = c_.config;
  const LayerWeights& layer = c_.weights.layers[static_cast<size_t>(layer_idx)];
  Workspace& ws = c_.workspace;
  std::byte* scratch = ws.thread_scratch(worker.index());

  const ops::ActivationKinds gate_kinds = layer.gate.activation_kind() | layer.up.activation_kind();
  row_phase(worker, rows, layer.gate,
            [&](int32_t row) { norm_row(row, true, layer.ffn_norm, gate_kinds); });
  tap(worker, "attn_out", layer_idx, ws.delta, rows, config.hidden_dim);
  tap(worker, "attn_residual", layer_idx, ws.residual, rows, config.hidden_dim);
  tap(worker, "ffn_norm", layer_idx, ws.hidden_in.row(0, config.hidden_dim), rows,
      config.hidden_dim);

  const std::array<ops::LinearCall, 2> gate_up = {{{&layer.gate, ws.gate}, {&layer.up, ws.up}}};
  ops::run_linear(worker, gate_up, ws.hidden_in, rows, scratch);
  row_phase(worker, rows, layer.down, [&](int32_t row) {
    const int32_t dim = config.ffn_dim;
    c_.kernels.elementwise.swiglu(row_of(ws.gate, row, dim), row_of(ws.up, row, dim), dim,
                                  ws.ffn_in.row(row, dim));
    ws.ffn_in.store_row(c_.kernels.elementwise, row, dim, layer.down.activation_kind());
  });
  tap(worker, "ffn_gated", layer_idx, ws.ffn_in.row(0, config.ffn_dim), rows, config.ffn_dim);
  const std::array<ops::LinearCall, 1> down = {{{&layer.down, ws.delta}}};
  ops::run_linear(worker, down, ws.ffn_in, rows, scratch);
  if (c_.tap != nullptr) worker.barrier();
  tap(worker, "ffn_out", layer_idx, ws.delta, rows, config.hidden_dim);
}

void DecoderPass::run_layers(ThreadTeam::Worker& worker,
                             const ops::BatchView& batch) const noexcept {
  embed(worker, batch);
  for (int32_t layer_idx = 0; layer_idx < c_.config.num_layers; ++layer_idx) {
    attention_block(worker, batch, layer_idx);
    feed_forward_block(worker, batch.num_rows, layer_idx);
  }
}

void DecoderPass::run_logits(ThreadTeam::Worker& worker,
                             std::span<const int32_t> rows) const noexcept {
  const int32_t hidden = c_.config.hidden_dim;
  const int32_t num_rows = static_cast<int32_t>(rows.size());
  const kernels::ElementwiseKernels& elementwise = c_.kernels.elementwise;
  Workspace& ws = c_.workspace;
  row_phase(worker, num_rows, c_.weights.output, [&](int32_t i) {
    const int32_t row = rows[static_cast<size_t>(i)];
    float* normed = ws.logits_in.row(i, hidden);
    std::memcpy(normed, row_of(ws.residual, row, hidden),
                static_cast<size_t>(hidden) * sizeof(float));
    elementwise.add(row_of(ws.delta, row, hidden), hidden, normed);
    elementwise.rms_norm(normed, c_.weights.output_norm.data(), c_.config.norm_epsilon, hidden,
                         normed);
    ws.logits_in.store_row(elementwise, i, hidden, c_.weights.output.activation_kind());
  });
  tap(worker, "final_norm", -1, ws.logits_in.row(0, hidden), num_rows, hidden);
  const std::array<ops::LinearCall, 1> output = {{{&c_.weights.output, ws.logits}}};
  ops::run_linear(worker, output, ws.logits_in, num_rows, ws.thread_scratch(worker.index()));
}

}  // namespace ruvllm::model
