// The weights of a model: product plans over the mapped file, and small vectors copied as floats.
#pragma once

#include <vector>

#include "base/core/error.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "model/arch/architecture.h"
#include "model/config.h"
#include "ops/linear.h"

namespace ruvllm::model {

struct LayerWeights {
  std::vector<float> attn_norm;  // [hidden]
  ops::LinearPlan q, k, v;       // [heads * head_dim, hidden], with bias where the family has one
  ops::LinearPlan attn_output;   // [hidden, heads * head_dim]
  std::vector<float> ffn_norm;   // [hidden]
  ops::LinearPlan gate, up;      // [ffn, hidden]
  ops::LinearPlan down;          // [hidden, ffn]
  std::vector<float> q_bias, k_bias, v_bias;  // owned; the plans point into them
};

struct ModelWeights {
  MatrixView token_embedding;  // [vocab, hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> output_norm;
  ops::LinearPlan output;           // [vocab, hidden]; the embedding where they are tied
  std::vector<float> rope_factors;  // [rope_dim / 2] or empty
};

// Binds every tensor that the family needs, with its shape checked, and sets config.vocab_size.
// Errors name the tensor and both shapes. The file must outlive the weights.
Result<ModelWeights> bind_weights(const formats::GgufFile& file, const Architecture& architecture,
                                  const device::CpuDevice& device, ModelConfig& config);

}  // namespace ruvllm::model
