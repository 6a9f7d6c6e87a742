#include "model/decoder/decoder.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/cpu/packed/packed_layout.h"
#include "model/decoder/attention_block.h"
#include "model/decoder/feed_forward_block.h"
#include "model/decoder/residual.h"
#include "ops/linear.h"
#include "tensor/codec.h"

namespace ruvllm::model {
namespace {

// What some families add to a token's embedding, before they norm it.
void add_to_embedding(const PassContext& c, int32_t row, int32_t position) noexcept {
  const int32_t hidden = c.config.hidden_dim;
  const ModelWeights& weights = c.weights;
  float* residual = row_of(c.workspace.residual, row, hidden);
  if (!weights.type_embedding.empty()) {
    c.kernels.elementwise.add(weights.type_embedding.data(), hidden, residual);
  }
  if (!c.config.has_position_embedding) return;
  float* learned = row_of(c.workspace.delta, row, hidden);  // free until the first block
  const MatrixView& table = weights.position_embedding;
  decode_row(table.dtype, table.row(static_cast<size_t>(position)), static_cast<size_t>(hidden),
             learned);
  c.kernels.elementwise.add(learned, hidden, residual);
}

// A token's row of the embedding, as the file has it. Where the output matrix is the same and is
// packed, from there: reading the file would bring its pages into memory a second time. Rounded
// weights are no longer what the file has. `scratch` has room for a row.
const std::byte* embedding_row(const PassContext& c, int32_t token, std::byte* scratch) noexcept {
  const MatrixView& table = c.weights.token_embedding;
  const ops::LinearPlan& output = c.weights.output;
  const size_t row = static_cast<size_t>(token);
  const bool is_tied = c.config.has_output && output.weight.row(0) == table.row(0);
  const bool is_exact = is_tied && !output.kernel->layout.is_rounded();
  const std::byte* packed = is_exact ? output.packed_slices() : nullptr;
  if (packed == nullptr) return table.row(row);
  constexpr size_t kSliceRows = kernels::kSliceRows;
  const kernels::PackedLayout& layout = output.kernel->layout;
  kernels::unpack_row(layout, packed + row / kSliceRows * kSliceRows * table.row_stride,
                      static_cast<int32_t>(row % kSliceRows),
                      output.in_dim() / layout.block_elements, scratch);
  return scratch;
}

void embed(const PassContext& c, ThreadTeam::Worker& worker, const ops::BatchView& batch) noexcept {
  const int32_t hidden = c.config.hidden_dim, angles = c.config.rope_dim / 2;
  Workspace& ws = c.workspace;
  row_phase(worker, batch.num_rows, c.weights.layers[0].q, [&](int32_t row) {
    const MatrixView& table = c.weights.token_embedding;
    float* residual = row_of(ws.residual, row, hidden);
    decode_row(table.dtype, embedding_row(c, batch.tokens[row], ws.thread_scratch(worker.index())),
               static_cast<size_t>(hidden), residual);
    if (c.config.embedding_scale != 1.0f) {
      c.kernels.elementwise.scale(c.config.embedding_scale, hidden, residual);
    }
    add_to_embedding(c, row, batch.positions[row]);
    norm_stream(c, row, c.weights.embedding_norm);
    int32_t rope_row = row;
    for (const ops::RopeAngles& rope : c.ropes) {
      rope.fill(batch.positions[row], row_of(ws.rope_cos, rope_row, angles),
                row_of(ws.rope_sin, rope_row, angles));
      rope_row += ws.max_rows();
    }
  });
  tap_rows(c, worker, "embd", -1, ws.residual, batch.num_rows, hidden);
}

// Scales and caps the logits where the family does, in pieces over the team.
void finish_logits(const PassContext& c, ThreadTeam::Worker& worker, int64_t num_logits) noexcept {
  constexpr int64_t kPiece = 4096;
  const kernels::ElementwiseKernels& elementwise = c.kernels.elementwise;
  const float scale = c.config.logit_scale, cap = c.config.logit_soft_cap;
  if (scale == 1.0f && cap == 0.0f) return;
  worker.barrier();
  worker.for_chunks(num_logits, kPiece, [&](int64_t begin, int64_t end) {
    float* logits = c.workspace.logits + begin;
    const int32_t count = static_cast<int32_t>(end - begin);
    if (scale != 1.0f) elementwise.scale(scale, count, logits);
    if (cap != 0.0f) elementwise.soft_cap(cap, count, logits);
  });
}

// Moves what the last layer still needs of the rows, residual stream and queries, to the front.
// rows[i] >= i ascend, so what is overwritten has moved before.
void gather_rows(const PassContext& c, std::span<const int32_t> rows) noexcept {
  const auto move_row = [](float* data, int32_t dim, int32_t from, int32_t to) {
    std::memmove(row_of(data, to, dim), row_of(data, from, dim),
                 static_cast<size_t>(dim) * sizeof(float));
  };
  int32_t to = 0;
  for (const int32_t from : rows) {
    move_row(c.workspace.residual, c.config.hidden_dim, from, to);
    move_row(c.workspace.q, c.config.q_dim(), from, to);
    ++to;
  }
}

}  // namespace

void run_layers(const PassContext& c, ThreadTeam::Worker& worker, const ops::BatchView& batch,
                const NarrowedBatch* narrowed) noexcept {
  embed(c, worker, batch);
  const ops::BatchView* rest = &batch;
  for (int32_t layer_idx = 0; layer_idx < c.config.num_layers; ++layer_idx) {
    run_attention_inputs(c, worker, batch, layer_idx);
    if (narrowed != nullptr && layer_idx == c.config.num_layers - 1) {
      rest = &narrowed->view();
      if (rest->num_rows == 0) return;
      worker.barrier([&] { gather_rows(c, narrowed->source_rows()); });
    }
    run_attention_outputs(c, worker, *rest, layer_idx);
    run_feed_forward_block(c, worker, *rest, layer_idx);
  }
}

void run_final_states(const PassContext& c, ThreadTeam::Worker& worker,
                      std::span<const int32_t> rows) noexcept {
  const LayerWeights& last = c.weights.layers.back();
  const std::vector<float>& norm = c.weights.output_norm;
  const int32_t hidden = c.config.hidden_dim;
  row_phase(worker, static_cast<int32_t>(rows.size()), c.weights.layers[0].q, [&](int32_t i) {
    const int32_t row = rows[static_cast<size_t>(i)];
    add_block_output(c, row, last.ffn_post_norm, last.ffn_stream_norm);
    if (norm.empty()) return;
    float* state = row_of(c.workspace.residual, row, hidden);
    c.kernels.elementwise.rms_norm(state, norm.data(), c.config.norm_epsilon, hidden, state);
  });
}

void run_logits(const PassContext& c, ThreadTeam::Worker& worker,
                std::span<const int32_t> rows) noexcept {
  const int32_t hidden = c.config.hidden_dim;
  const int32_t num_rows = static_cast<int32_t>(rows.size());
  const kernels::ElementwiseKernels& elementwise = c.kernels.elementwise;
  Workspace& ws = c.workspace;
  row_phase(worker, num_rows, c.weights.output, [&](int32_t i) {
    const int32_t row = rows[static_cast<size_t>(i)];
    float* normed = ws.logits_in.row(i, hidden);
    finish_block_output(c, row, c.weights.layers.back().ffn_post_norm, normed);
    elementwise.add(row_of(ws.residual, row, hidden), hidden, normed);
    elementwise.rms_norm(normed, c.weights.output_norm.data(), c.config.norm_epsilon, hidden,
                         normed);
    ws.logits_in.store_row(elementwise, i, hidden, c.weights.output.activation_kind());
  });
  tap_rows(c, worker, "final_norm", -1, ws.logits_in.row(0, hidden), num_rows, hidden);
  const std::array<ops::LinearCall, 1> output = {{{&c.weights.output, ws.logits}}};
  ops::run_linear(worker, output, ws.logits_in, num_rows, ws.thread_scratch(worker.index()));
  finish_logits(c, worker, static_cast<int64_t>(num_rows) * c.config.vocab_size);
}

}  // namespace ruvllm::model
