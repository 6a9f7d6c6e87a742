#include "model/decoder/residual.h"

#include <cstddef>
#include <cstring>

namespace ruvllm::model {

void finish_block_output(const PassContext& c, int32_t row_idx, const std::vector<float>& post_norm,
                         float* dst) noexcept {
  const int32_t hidden = c.config.hidden_dim;
  const float* delta = row_of(c.workspace.delta, row_idx, hidden);
  if (!post_norm.empty()) {
    c.kernels.elementwise.rms_norm(delta, post_norm.data(), c.config.norm_epsilon, hidden, dst);
  } else if (dst != delta) {
    std::memcpy(dst, delta, static_cast<size_t>(hidden) * sizeof(float));
  }
  if (c.config.residual_scale != 1.0f) {
    c.kernels.elementwise.scale(c.config.residual_scale, hidden, dst);
  }
}

void norm_stream(const PassContext& c, int32_t row_idx, const LayerNormWeights& norm) noexcept {
  if (norm.weight.empty()) return;
  const int32_t hidden = c.config.hidden_dim;
  float* residual = row_of(c.workspace.residual, row_idx, hidden);
  c.kernels.elementwise.layer_norm(residual, norm.weight.data(), norm.bias.data(),
                                   c.config.norm_epsilon, hidden, residual);
}

void add_block_output(const PassContext& c, int32_t row_idx, const std::vector<float>& post_norm,
                      const LayerNormWeights& stream_norm) noexcept {
  const int32_t hidden = c.config.hidden_dim;
  float* delta = row_of(c.workspace.delta, row_idx, hidden);
  finish_block_output(c, row_idx, post_norm, delta);
  c.kernels.elementwise.add(delta, hidden, row_of(c.workspace.residual, row_idx, hidden));
  norm_stream(c, row_idx, stream_norm);
}

void prepare_block_input(const PassContext& c, int32_t row_idx, const std::vector<float>& norm,
                         ops::ActivationKinds kinds) noexcept {
  const int32_t hidden = c.config.hidden_dim;
  const float* residual = row_of(c.workspace.residual, row_idx, hidden);
  float* input = c.workspace.hidden_in.row(row_idx, hidden);
  if (norm.empty()) {
    std::memcpy(input, residual, static_cast<size_t>(hidden) * sizeof(float));
  } else {
    c.kernels.elementwise.rms_norm(residual, norm.data(), c.config.norm_epsilon, hidden, input);
  }
  c.workspace.hidden_in.store_row(c.kernels.elementwise, row_idx, hidden, kinds);
}

}  // namespace ruvllm::model
