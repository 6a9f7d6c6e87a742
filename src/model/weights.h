// The weights of a model: product plans over the mapped file, and small vectors copied as floats.
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "base/core/error.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "model/arch/architecture.h"
#include "model/config.h"
#include "ops/linear.h"
#include "ops/moe/moe.h"

namespace ruvllm::model {

struct LayerNormWeights {
  std::vector<float> weight, bias;  // [hidden]; both empty: no norm
};

// Vectors that the family lacks are empty. The products' biases point into `biases`.
struct LayerWeights {
  std::vector<float> attn_norm;         // [hidden]
  ops::LinearPlan q, k, v;              // [heads * head_dim, hidden]
  std::vector<float> q_norm, k_norm;    // [head_dim], or [heads * head_dim] for the whole width
  std::vector<float> attn_sinks;        // [heads]
  ops::LinearPlan attn_output;          // [hidden, heads * head_dim]
  std::vector<float> attn_post_norm;    // [hidden]
  LayerNormWeights attn_stream_norm;    // of the residual stream after the block
  std::vector<float> ffn_norm;          // [hidden]
  ops::LinearPlan gate, up;             // [ffn, hidden]; gate has no kernel if there is none
  ops::LinearPlan down;                 // [hidden, ffn]
  std::optional<ops::MoePlan> experts;  // in place of gate, up and down
  std::vector<float> ffn_post_norm;     // [hidden]
  LayerNormWeights ffn_stream_norm;     // of the residual stream after the block
  std::vector<std::vector<float>> biases;

  ops::ActivationKinds qkv_input_kinds() const {
    return q.activation_kind() | k.activation_kind() | v.activation_kind();
  }
  bool has_gate() const { return gate.kernel != nullptr; }
  // What the feed-forward network reads, and its first product.
  ops::ActivationKinds ffn_input_kinds() const {
    if (experts) return experts->input_kinds();
    return has_gate() ? gate.activation_kind() | up.activation_kind() : up.activation_kind();
  }
  const ops::LinearPlan& ffn_entry() const {
    return experts ? experts->router : (has_gate() ? gate : up);
  }

  // Calls use(plan, share) for every product of the layer that a token goes through; it reads
  // `share` of the product's weights.
  template <typename Use>
  void for_each_product(const Use& use) const {
    visit_products(*this, use);
  }
  template <typename Use>
  void for_each_product(const Use& use) {
    visit_products(*this, use);
  }

 private:
  template <typename Layer, typename Use>
  static void visit_products(Layer& layer, const Use& use) {
    for (auto* plan : {&layer.q, &layer.k, &layer.v, &layer.attn_output}) use(*plan, 1.0);
    if (!layer.experts) {
      if (layer.has_gate()) use(layer.gate, 1.0);
      for (auto* plan : {&layer.up, &layer.down}) use(*plan, 1.0);
      return;
    }
    auto& moe = *layer.experts;
    const double share =
        static_cast<double>(moe.routing.num_used) / static_cast<double>(moe.routing.num_experts);
    use(moe.router, 1.0);
    for (auto* plan : {&moe.gate, &moe.up, &moe.down}) use(*plan, share);
  }
};

struct ModelWeights {
  MatrixView token_embedding;         // [vocab, hidden]
  MatrixView position_embedding;      // [context, hidden], if config.has_position_embedding
  std::vector<float> type_embedding;  // [hidden]: of the first type of token, or empty
  LayerNormWeights embedding_norm;
  std::vector<LayerWeights> layers;
  // If config.has_output; the norm and the embedding, where they are tied.
  std::vector<float> output_norm;
  ops::LinearPlan output;  // [vocab, hidden]
  // Divisors of the first rotation's frequencies, [rope_dim / 2] or empty: in any context, or in
  // contexts up to and beyond config.rope_original_context.
  std::vector<float> rope_factors, rope_factors_short, rope_factors_long;
};

// Binds every tensor that the family needs, with its shape checked, and sets config.vocab_size.
// Errors name the tensor and both shapes. The file must outlive the weights.
Result<ModelWeights> bind_weights(const formats::GgufFile& file, const Architecture& architecture,
                                  const device::CpuDevice& device, ModelConfig& config);

}  // namespace ruvllm::model
