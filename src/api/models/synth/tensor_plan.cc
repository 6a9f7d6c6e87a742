#include "api/models/synth/tensor_plan.h"

#include <cmath>
#include <numbers>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/core/check.h"

namespace ruvllm::api {
namespace {

class Planner {
 public:
  Planner(const SynthShape& shape, const SynthType& type) : shape_(shape), type_(type) {}

  void vector(std::string name, uint64_t size, TensorFill fill) {
    append(std::move(name), DType::kF32, {size}, fill);
  }
  void matrix(std::string name, uint64_t num_rows, uint64_t num_cols, MatrixRole role,
              uint32_t layer_idx = 0) {
    append(std::move(name), matrix_dtype(type_, role, layer_idx, shape_.num_layers, num_cols),
           {num_cols, num_rows}, TensorFill::kRandom);
  }
  void layer(uint32_t layer_idx);

  std::vector<PlannedTensor> take() { return std::move(tensors_); }

 private:
  void append(std::string name, DType dtype, std::vector<uint64_t> dims, TensorFill fill) {
    uint64_t num_rows = 1;
    for (size_t i = 1; i < dims.size(); ++i) num_rows *= dims[i];
    const std::optional<size_t> row = row_bytes(dtype, dims.front());
    RUVLLM_CHECK(row.has_value());
    const uint64_t num_bytes = *row * num_rows;
    tensors_.push_back({std::move(name), dtype, std::move(dims), fill, num_bytes});
  }

  const SynthShape& shape_;
  const SynthType& type_;
  std::vector<PlannedTensor> tensors_;
};

void Planner::layer(uint32_t layer_idx) {
  const auto name = [&](std::string_view part) {
    return fmt::format("blk.{}.{}", layer_idx, part);
  };
  const uint64_t hidden = shape_.hidden_dim, ffn = shape_.ffn_dim;
  const uint64_t q_dim = uint64_t{shape_.num_heads} * shape_.head_dim;
  const uint64_t kv_dim = uint64_t{shape_.num_kv_heads} * shape_.head_dim;
  const model::Architecture& family = shape_.family();
  if (family.pre_norms) vector(name("attn_norm.weight"), hidden, TensorFill::kOnes);
  matrix(name("attn_q.weight"), q_dim, hidden, MatrixRole::kOther, layer_idx);
  matrix(name("attn_k.weight"), kv_dim, hidden, MatrixRole::kOther, layer_idx);
  matrix(name("attn_v.weight"), kv_dim, hidden, MatrixRole::kAttnValue, layer_idx);
  if (family.requires_qkv_bias) {
    vector(name("attn_q.bias"), q_dim, TensorFill::kRandom);
    vector(name("attn_k.bias"), kv_dim, TensorFill::kRandom);
    vector(name("attn_v.bias"), kv_dim, TensorFill::kRandom);
  }
  if (family.qk_norm != model::QkNorm::kNone) {
    const bool per_head = family.qk_norm == model::QkNorm::kPerHead;
    vector(name("attn_q_norm.weight"), per_head ? shape_.head_dim : q_dim, TensorFill::kOnes);
    vector(name("attn_k_norm.weight"), per_head ? shape_.head_dim : kv_dim, TensorFill::kOnes);
  }
  matrix(name("attn_output.weight"), hidden, q_dim, MatrixRole::kOther, layer_idx);
  if (family.post_norms) vector(name("post_attention_norm.weight"), hidden, TensorFill::kOnes);
  if (family.pre_norms) vector(name("ffn_norm.weight"), hidden, TensorFill::kOnes);
  matrix(name("ffn_gate.weight"), ffn, hidden, MatrixRole::kOther, layer_idx);
  matrix(name("ffn_up.weight"), ffn, hidden, MatrixRole::kOther, layer_idx);
  matrix(name("ffn_down.weight"), hidden, ffn, MatrixRole::kFfnDown, layer_idx);
  if (family.post_norms) vector(name("post_ffw_norm.weight"), hidden, TensorFill::kOnes);
}

}  // namespace

std::vector<PlannedTensor> plan_tensors(const SynthShape& shape, const SynthType& type) {
  Planner planner(shape, type);
  planner.matrix("token_embd.weight", shape.vocab_size, shape.hidden_dim,
                 shape.tied ? MatrixRole::kOutput : MatrixRole::kTokenEmbedding);
  if (shape.llama3_rope_factor > 0.0f) {
    planner.vector("rope_freqs.weight", shape.head_dim / 2, TensorFill::kRopeFactors);
  }
  for (uint32_t i = 0; i < shape.num_layers; ++i) planner.layer(i);
  planner.vector("output_norm.weight", shape.hidden_dim, TensorFill::kOnes);
  if (!shape.tied) {
    planner.matrix("output.weight", shape.vocab_size, shape.hidden_dim, MatrixRole::kOutput);
  }
  return planner.take();
}

std::vector<float> llama3_rope_factors(const SynthShape& shape) {
  constexpr double kTrainedContext = 8192.0;  // tokens
  constexpr double kLowFrequency = 1.0, kHighFrequency = 4.0;
  const double stretch = shape.llama3_rope_factor;
  std::vector<float> factors;
  for (uint32_t i = 0; i < shape.head_dim; i += 2) {
    const double wavelength = 2.0 * std::numbers::pi *
                              std::pow(static_cast<double>(shape.rope_base),
                                       static_cast<double>(i) / shape.head_dim);  // tokens
    const double periods = kTrainedContext / wavelength;
    double factor = 1.0;
    if (periods < kLowFrequency) {
      factor = stretch;
    } else if (periods <= kHighFrequency) {
      const double blend = (periods - kLowFrequency) / (kHighFrequency - kLowFrequency);
      factor = 1.0 / ((1.0 - blend) / stretch + blend);
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

}  // namespace ruvllm::api
