// The backward half: from d_stream, the loss's gradient with respect to the residual stream, at the
// last layer's output down to the first layer's factors.
#include <algorithm>

#include "sona/deep/gradients/parallel.h"
#include "sona/deep/gradients/row_gradients.h"
#include "sona/deep/pass/training_pass.h"

namespace ruvllm::sona {
namespace {

using ops::LoraTarget;

constexpr int64_t kPieceRows = 16;

const MatrixView& matrix_of(const model::LayerWeights& layer, LoraTarget target) {
  switch (target) {
    case LoraTarget::kQ:
      return layer.q.weight;
    case LoraTarget::kK:
      return layer.k.weight;
    case LoraTarget::kV:
      return layer.v.weight;
    case LoraTarget::kAttnOutput:
      return layer.attn_output.weight;
    case LoraTarget::kGate:
      return layer.gate.weight;
    case LoraTarget::kUp:
      return layer.up.weight;
    case LoraTarget::kDown:
      break;
  }
  return layer.down.weight;
}

}  // namespace

void TrainingPass::backward(const LoraParameters& parameters, float* gradients) noexcept {
  for (int32_t layer = config().num_layers - 1; layer >= 0; --layer) {
    before_layer();
    backward_feed_forward(layer, parameters, gradients);
    backward_attention(layer, parameters, gradients);
  }
}

void TrainingPass::backward_product(int32_t layer_idx, LoraTarget target, const float* x,
                                    const float* dy, const LoraParameters& parameters,
                                    float* gradients, float* dx) noexcept {
  ThreadTeam& team = device_.team();
  if (dx != nullptr)
    transposed_.add(team, matrix_of(weights(layer_idx), target), dy, num_rows_, dx);
  lora_.add_gradients(team, parameters.factors(layer_idx, target), x, dy, num_rows_,
                      parameters.gradients(gradients, layer_idx, target), dx);
}

// buffers.normed: what a block read.
void TrainingPass::renorm_rows(const float* rows, const std::vector<float>& weight) noexcept {
  const int32_t hidden = config().hidden_dim;
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t row = begin; row < end; ++row) {
      device_.kernels().elementwise.rms_norm(rows + row * hidden, weight.data(),
                                             config().norm_epsilon, hidden,
                                             buffers_.normed + row * hidden);
    }
  });
  std::fill_n(buffers_.d_normed, int64_t{num_rows_} * hidden, 0.0f);
}

// d_stream += what d_normed makes of it through the norm.
void TrainingPass::add_norm_gradient(const float* rows, const std::vector<float>& weight) noexcept {
  const int32_t hidden = config().hidden_dim;
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t row = begin; row < end; ++row) {
      add_rms_norm_gradient(rows + row * hidden, weight.data(), config().norm_epsilon, hidden,
                            buffers_.d_normed + row * hidden, buffers_.d_stream + row * hidden);
    }
  });
}

void TrainingPass::backward_feed_forward(int32_t layer_idx, const LoraParameters& parameters,
                                         float* gradients) noexcept {
  const LayerSaves& s = saves(layer_idx);
  const model::LayerWeights& w = weights(layer_idx);
  const int32_t ffn = config().ffn_dim;
  float* d_gated = buffers_.d_gate;
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t row = begin; row < end; ++row) {
      device_.kernels().elementwise.swiglu(s.gate + row * ffn, s.up + row * ffn, ffn,
                                           buffers_.gated + row * ffn);
    }
  });
  std::fill_n(d_gated, int64_t{num_rows_} * ffn, 0.0f);
  backward_product(layer_idx, LoraTarget::kDown, buffers_.gated, buffers_.d_stream, parameters,
                   gradients, d_gated);
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t at = begin * ffn; at < end * ffn; at += ffn) {
      swiglu_gradient(s.gate + at, s.up + at, d_gated + at, ffn, buffers_.d_gate + at,
                      buffers_.d_up + at);
    }
  });
  renorm_rows(s.middle, w.ffn_norm);
  backward_product(layer_idx, LoraTarget::kGate, buffers_.normed, buffers_.d_gate, parameters,
                   gradients, buffers_.d_normed);
  backward_product(layer_idx, LoraTarget::kUp, buffers_.normed, buffers_.d_up, parameters,
                   gradients, buffers_.d_normed);
  add_norm_gradient(s.middle, w.ffn_norm);
}

// `gradients` of normed heads become those of the raw ones.
void TrainingPass::unnorm_heads(const std::vector<float>& weight, const float* raw,
                                int32_t num_heads, float* gradients, float* scratch) noexcept {
  const int32_t dim = config().head_dim;
  for (int64_t at = 0; at < int64_t{num_heads} * dim; at += dim) {
    std::copy_n(gradients + at, dim, scratch);
    std::fill_n(gradients + at, dim, 0.0f);
    add_rms_norm_gradient(raw + at, weight.data(), config().norm_epsilon, dim, scratch,
                          gradients + at);
  }
}

// d_q and d_k with respect to what the products gave. A rotation's transpose is the rotation by the
// negative angle.
void TrainingPass::turn_gradients_back(int32_t layer_idx) noexcept {
  const model::ModelConfig& c = config();
  const LayerSaves& s = saves(layer_idx);
  const kernels::ElementwiseKernels& elementwise = device_.kernels().elementwise;
  const auto turn = c.rope_style == model::RopeStyle::kNeox ? elementwise.rope_neox
                                                            : elementwise.rope_interleaved;
  const int32_t rope_idx = c.layer(layer_idx).rope_idx;
  for_pieces(device_.team(), num_rows_, kPieceRows,
             [&](int64_t begin, int64_t end, uint32_t thread_idx) {
               float* scratch = buffers_.head_scratch + int64_t{thread_idx} * c.head_dim;
               for (int64_t row = begin; row < end; ++row) {
                 float* dq = buffers_.d_q + row * c.q_dim();
                 float* dk = buffers_.d_k + row * c.kv_dim();
                 if (rope_idx != model::kNoRope) {
                   const int64_t at = (int64_t{rope_idx} * max_rows_ + row) * (c.rope_dim / 2);
                   const float* cos = buffers_.cos + at;
                   const float* sin = buffers_.negative_sin + at;
                   turn(dq, cos, sin, c.rope_dim, c.head_dim, c.num_heads);
                   turn(dk, cos, sin, c.rope_dim, c.head_dim, c.num_kv_heads);
                 }
                 if (s.raw_q == nullptr) continue;
                 const model::LayerWeights& w = weights(layer_idx);
                 unnorm_heads(w.q_norm, s.raw_q + row * c.q_dim(), c.num_heads, dq, scratch);
                 unnorm_heads(w.k_norm, s.raw_k + row * c.kv_dim(), c.num_kv_heads, dk, scratch);
               }
             });
}

void TrainingPass::backward_attention(int32_t layer_idx, const LoraParameters& parameters,
                                      float* gradients) noexcept {
  const LayerSaves& s = saves(layer_idx);
  const PassBuffers& b = buffers_;
  std::fill_n(b.d_mixed, int64_t{num_rows_} * config().q_dim(), 0.0f);
  backward_product(layer_idx, LoraTarget::kAttnOutput, s.mixed, b.d_stream, parameters, gradients,
                   b.d_mixed);
  attention_.run(device_.team(), attention_shape(layer_idx), {s.q, s.k, s.v, num_rows_},
                 {s.mixed, b.d_mixed, b.d_q, b.d_k, b.d_v});
  turn_gradients_back(layer_idx);
  const std::vector<float>& norm = weights(layer_idx).attn_norm;
  renorm_rows(s.input, norm);
  // Below the first layer there is nothing to train.
  float* dx = layer_idx > 0 ? b.d_normed : nullptr;
  backward_product(layer_idx, LoraTarget::kQ, b.normed, b.d_q, parameters, gradients, dx);
  backward_product(layer_idx, LoraTarget::kK, b.normed, b.d_k, parameters, gradients, dx);
  backward_product(layer_idx, LoraTarget::kV, b.normed, b.d_v, parameters, gradients, dx);
  if (layer_idx > 0) add_norm_gradient(s.input, norm);
}

}  // namespace ruvllm::sona
