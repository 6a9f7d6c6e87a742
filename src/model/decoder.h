// The one decoder block: norm, attention with rotary embedding, norm, gated feed-forward, both with
// residual connections, driven by the config.
#pragma once

#include <cstdint>
#include <span>

#include "base/threads/thread_team.h"
#include "device/cpu_device.h"
#include "model/activation_tap.h"
#include "model/config.h"
#include "model/weights.h"
#include "model/workspace.h"
#include "ops/rope.h"
#include "ops/views.h"

namespace ruvllm::model {

// One step's pass over the team; every thread of the team calls the same functions. Neither ends
// with a barrier: ThreadTeam::run() does.
class DecoderPass {
 public:
  struct Context {
    const ModelConfig& config;
    const ModelWeights& weights;
    const ops::RopeAngles& rope;
    const kernels::KernelTable& kernels;
    Workspace& workspace;
    ops::KvView kv;
    ActivationTap* tap = nullptr;
  };

  explicit DecoderPass(const Context& context) : c_(context) {}

  // Embeds the batch's tokens and runs all layers: workspace.residual + workspace.delta become the
  // last layer's output, and the cache gets the rows' keys and values.
  void run_layers(ThreadTeam::Worker& worker, const ops::BatchView& batch) const noexcept;

  // workspace.logits[i] = logits of row rows[i] of the last run_layers.
  void run_logits(ThreadTeam::Worker& worker, std::span<const int32_t> rows) const noexcept;

 private:
  template <typename Body>
  void row_phase(ThreadTeam::Worker& worker, int32_t num_rows, const ops::LinearPlan& next,
                 Body&& body) const noexcept;
  void tap(ThreadTeam::Worker& worker, std::string_view site, int32_t layer_idx, const float* rows,
           int32_t num_rows, int32_t num_cols) const noexcept;
  void embed(ThreadTeam::Worker& worker, const ops::BatchView& batch) const noexcept;
  void attention_block(ThreadTeam::Worker& worker, const ops::BatchView& batch,
                       int32_t layer_idx) const noexcept;
  void feed_forward_block(ThreadTeam::Worker& worker, int32_t num_rows,
                          int32_t layer_idx) const noexcept;
  void norm_row(int32_t row_idx, bool add_delta, const std::vector<float>& weight,
                ops::ActivationKinds kinds) const noexcept;
  void rotate_and_store_row(const ops::BatchView& batch, int32_t row_idx,
                            int32_t layer_idx) const noexcept;

  Context c_;
};

}  // namespace ruvllm::model
