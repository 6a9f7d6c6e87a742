// The weights of a model: product plans over the mapped file, and small vectors copied as floats.
#pragma once

#include <initializer_list>
#include <vector>

#include "base/core/error.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "model/arch/architecture.h"
#include "model/config.h"
#include "ops/linear.h"

namespace ruvllm::model {

// Vectors that the family lacks are empty. The products' biases point into `biases`.
struct LayerWeights {
  std::vector<float> attn_norm;       // [hidden]
  ops::LinearPlan q, k, v;            // [heads * head_dim, hidden]
  std::vector<float> q_norm, k_norm;  // [head_dim], or [heads * head_dim] for the whole width
  std::vector<float> attn_sinks;      // [heads]
  ops::LinearPlan attn_output;        // [hidden, heads * head_dim]
  std::vector<float> attn_post_norm;  // [hidden]
  std::vector<float> ffn_norm;        // [hidden]
  ops::LinearPlan gate, up;           // [ffn, hidden]
  ops::LinearPlan down;               // [hidden, ffn]
  std::vector<float> ffn_post_norm;   // [hidden]
  std::vector<std::vector<float>> biases;

  // Calls use(plan) for every product of the layer that a token goes through.
  template <typename Use>
  void for_each_product(const Use& use) const {
    for (const ops::LinearPlan* plan : {&q, &k, &v, &attn_output, &gate, &up, &down}) use(*plan);
  }
};

struct ModelWeights {
  MatrixView token_embedding;  // [vocab, hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> output_norm;
  ops::LinearPlan output;  // [vocab, hidden]; the embedding where they are tied
  // Divisors of the first rotation's frequencies, [rope_dim / 2] or empty: in any context, or in
  // contexts up to and beyond config.rope_original_context.
  std::vector<float> rope_factors, rope_factors_short, rope_factors_long;
};

// Binds every tensor that the family needs, with its shape checked, and sets config.vocab_size.
// Errors name the tensor and both shapes. The file must outlive the weights.
Result<ModelWeights> bind_weights(const formats::GgufFile& file, const Architecture& architecture,
                                  const device::CpuDevice& device, ModelConfig& config);

}  // namespace ruvllm::model
