#include "sona/deep/pass/trainable.h"

#include <array>
#include <string_view>

namespace ruvllm::sona {

using model::ModelConfig;
using model::ModelWeights;

Status check_trainable(const model::Model& model) {
  const ModelConfig& config = model.config();
  const ModelWeights& weights = model.weights();
  struct Trait {
    bool present;
    std::string_view what;
  };
  const model::Architecture* architecture = model::architecture_of_name(config.architecture);
  const auto has_sinks = [&] {
    for (const model::LayerWeights& layer : weights.layers) {
      if (!layer.attn_sinks.empty()) return true;
    }
    return false;
  };
  const std::array traits = {
      Trait{!config.causal || !config.has_output, "an encoder, which predicts no next token"},
      Trait{config.experts.has_value(), "a mixture of experts"},
      Trait{!config.pre_norms || config.post_norms, "norms behind its blocks"},
      Trait{config.stream_norms || !weights.embedding_norm.weight.empty(), "layer norms"},
      Trait{!config.has_ffn_gate || config.gate_activation != model::GateActivation::kSilu,
            "a feed-forward network other than SwiGLU"},
      Trait{config.qk_norm == model::QkNorm::kWholeWidth, "norms of q and k over all heads"},
      Trait{config.has_position_embedding || !weights.type_embedding.empty(),
            "learned position embeddings"},
      Trait{config.attention_soft_cap != 0.0f || config.logit_soft_cap != 0.0f, "soft caps"},
      Trait{has_sinks(), "attention sinks"},
      Trait{config.embedding_scale != 1.0f || config.residual_scale != 1.0f ||
                config.logit_scale != 1.0f,
            "scales of its embedding, residual stream or logits"},
      Trait{architecture != nullptr && architecture->fuses_gate_and_up,
            "fused products, for which adapters have other files"},
  };
  for (const Trait& trait : traits) {
    if (!trait.present) continue;
    return fail(ErrorCode::kUnsupported,
                "{}: a model of the family '{}' has {}, which the deep loop cannot train through; "
                "it trains models like llama, qwen2 and qwen3",
                model.file().path(), config.architecture, trait.what);
  }
  return {};
}

}  // namespace ruvllm::sona
