#include "model/decoder/feed_forward_block.h"

#include <array>
#include <span>

#include "model/decoder/adapters.h"
#include "model/decoder/residual.h"
#include "ops/linear.h"
#include "ops/moe/moe.h"

namespace ruvllm::model {
namespace {

// workspace.delta = the mixture of experts of hidden_in.
void run_experts(const PassContext& c, ThreadTeam::Worker& worker, int32_t num_rows,
                 int32_t layer_idx) noexcept {
  const ops::MoePlan& plan = *c.layer_weights(layer_idx).experts;
  Workspace& ws = c.workspace;
  ops::run_moe(worker, plan, c.kernels.elementwise, ws.hidden_in, num_rows, ws.experts, ws.delta,
               ws.thread_scratch(worker.index()));
  if (c.tap == nullptr) return;
  worker.barrier([&] {
    for (int32_t i = 0; i < ws.experts.num_shares(); ++i) {
      c.tap->record_expert(layer_idx, ws.experts.share(i, plan.ffn_dim()), plan.ffn_dim());
    }
  });
}

// workspace.delta = the feed-forward network of hidden_in.
void run_dense(const PassContext& c, ThreadTeam::Worker& worker, const ops::BatchView& batch,
               int32_t layer_idx) noexcept {
  const LayerWeights& layer = c.layer_weights(layer_idx);
  const kernels::ElementwiseKernels& elementwise = c.kernels.elementwise;
  Workspace& ws = c.workspace;
  const int32_t dim = c.config.ffn_dim, num_rows = batch.num_rows;

  const size_t first = layer.has_gate() ? 0 : 1;
  const std::array<ops::LinearCall, 2> gate_up = {{{&layer.gate, ws.gate}, {&layer.up, ws.up}}};
  run_products(c, worker, batch, layer_idx, ProductGroup::kGateUp,
               std::span(gate_up).subspan(first), ws.hidden_in);
  const auto multiply_gated = c.config.gate_activation == GateActivation::kSilu
                                  ? elementwise.swiglu
                                  : elementwise.geglu_tanh;
  row_phase(worker, num_rows, layer.down, [&](int32_t row) {
    const float* up = row_of(ws.up, row, dim);
    float* activated = ws.ffn_in.row(row, dim);
    if (layer.has_gate()) {
      multiply_gated(row_of(ws.gate, row, dim), up, dim, activated);
    } else {
      elementwise.gelu(up, dim, activated);
    }
    ws.ffn_in.store_row(elementwise, row, dim, layer.down.activation_kind());
  });
  tap_rows(c, worker, "ffn_gated", layer_idx, ws.ffn_in.row(0, dim), num_rows, dim);
  const std::array<ops::LinearCall, 1> down = {{{&layer.down, ws.delta}}};
  run_products(c, worker, batch, layer_idx, ProductGroup::kDown, down, ws.ffn_in);
}

}  // namespace

void run_feed_forward_block(const PassContext& c, ThreadTeam::Worker& worker,
                            const ops::BatchView& batch, int32_t layer_idx) noexcept {
  const int32_t hidden = c.config.hidden_dim, num_rows = batch.num_rows;
  const LayerWeights& layer = c.layer_weights(layer_idx);
  Workspace& ws = c.workspace;
  const ops::ActivationKinds kinds = layer.ffn_input_kinds();
  row_phase(worker, num_rows, layer.ffn_entry(), [&](int32_t row) {
    add_block_output(c, row, layer.attn_post_norm, layer.attn_stream_norm);
    prepare_block_input(c, row, layer.ffn_norm, kinds);
  });
  tap_rows(c, worker, "attn_residual", layer_idx, ws.residual, num_rows, hidden);
  if (c.config.pre_norms) {
    tap_rows(c, worker, "ffn_norm", layer_idx, ws.hidden_in.row(0, hidden), num_rows, hidden);
  }
  if (layer.experts) {
    run_experts(c, worker, num_rows, layer_idx);
  } else {
    run_dense(c, worker, batch, layer_idx);
  }
  if (c.tap != nullptr) worker.barrier();
  tap_rows(c, worker, "ffn_out", layer_idx, ws.delta, num_rows, hidden);
}

}  // namespace ruvllm::model
