#include "api/models/synth/tensor_plan.h"

#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/core/check.h"
#include "ops/rope.h"

namespace ruvllm::api {
namespace {

class Planner {
 public:
  explicit Planner(const SynthShape& shape) : shape_(shape) {}

  void vector(std::string name, uint64_t size, TensorFill fill) {
    append(std::move(name), {size}, fill);
  }
  void matrix(std::string name, uint64_t num_rows, uint64_t num_cols) {
    append(std::move(name), {num_cols, num_rows}, TensorFill::kRandom);
  }
  void layer(uint32_t layer_idx);

  // With the types of the mixture.
  std::vector<PlannedTensor> finish(const FileType& type);

 private:
  void append(std::string name, std::vector<uint64_t> dims, TensorFill fill) {
    tensors_.push_back({std::move(name), DType::kF32, std::move(dims), fill, 0});
  }

  const SynthShape& shape_;
  std::vector<PlannedTensor> tensors_;
};

std::vector<PlannedTensor> Planner::finish(const FileType& type) {
  std::vector<MixtureTensor> described;
  for (const PlannedTensor& tensor : tensors_) {
    described.push_back({tensor.name, tensor.dims, tensor.dtype});
  }
  const MixtureModel model{.architecture = shape_.architecture,
                           .num_layers = shape_.num_layers,
                           .num_heads = shape_.num_heads,
                           .num_kv_heads = shape_.num_kv_heads};
  const std::vector<DType> dtypes = plan_dtypes(type, model, described);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    PlannedTensor& tensor = tensors_[i];
    const std::optional<size_t> row = row_bytes(dtypes[i], tensor.dims.front());
    RUVLLM_CHECK(row.has_value());
    tensor.dtype = dtypes[i];
    tensor.num_bytes = *row * (tensor.dims.size() > 1 ? tensor.dims[1] : 1);
  }
  return std::move(tensors_);
}

void Planner::layer(uint32_t layer_idx) {
  const auto name = [&](std::string_view part) {
    return fmt::format("blk.{}.{}", layer_idx, part);
  };
  const uint64_t hidden = shape_.hidden_dim, ffn = shape_.ffn_dim;
  const uint64_t q_dim = uint64_t{shape_.num_heads} * shape_.head_dim;
  const uint64_t kv_dim = uint64_t{shape_.num_kv_heads} * shape_.head_dim;
  const model::Architecture& family = shape_.family();
  if (family.pre_norms) vector(name("attn_norm.weight"), hidden, TensorFill::kOnes);
  matrix(name("attn_q.weight"), q_dim, hidden);
  matrix(name("attn_k.weight"), kv_dim, hidden);
  matrix(name("attn_v.weight"), kv_dim, hidden);
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
  matrix(name("attn_output.weight"), hidden, q_dim);
  if (family.post_norms) vector(name("post_attention_norm.weight"), hidden, TensorFill::kOnes);
  if (family.pre_norms) vector(name("ffn_norm.weight"), hidden, TensorFill::kOnes);
  matrix(name("ffn_gate.weight"), ffn, hidden);
  matrix(name("ffn_up.weight"), ffn, hidden);
  matrix(name("ffn_down.weight"), hidden, ffn);
  if (family.post_norms) vector(name("post_ffw_norm.weight"), hidden, TensorFill::kOnes);
}

}  // namespace

std::vector<PlannedTensor> plan_tensors(const SynthShape& shape, const FileType& type) {
  Planner planner(shape);
  planner.matrix("token_embd.weight", shape.vocab_size, shape.hidden_dim);
  if (shape.llama3_rope_factor > 0.0f) {
    planner.vector("rope_freqs.weight", shape.head_dim / 2, TensorFill::kRopeFactors);
  }
  for (uint32_t i = 0; i < shape.num_layers; ++i) planner.layer(i);
  planner.vector("output_norm.weight", shape.hidden_dim, TensorFill::kOnes);
  if (!shape.tied) {
    planner.matrix("output.weight", shape.vocab_size, shape.hidden_dim);
  }
  return planner.finish(type);
}

std::vector<float> llama3_rope_factors(const SynthShape& shape) {
  return ops::llama3_factors({.factor = static_cast<double>(shape.llama3_rope_factor)},
                             shape.head_dim, static_cast<double>(shape.rope_base));
}

}  // namespace ruvllm::api
