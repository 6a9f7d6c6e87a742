#include "model/weights.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "model/tensor_binder.h"

namespace ruvllm::model {
namespace {

// "<name>.weight" and "<name>.bias".
Result<LayerNormWeights> bind_layer_norm(const TensorBinder& binder, const std::string& name,
                                         int64_t size) {
  LayerNormWeights norm;
  RUVLLM_ASSIGN(norm.weight, binder.vector(name + ".weight", size));
  RUVLLM_ASSIGN(norm.bias, binder.vector(name + ".bias", size));
  return norm;
}

// Binds the tensors of one layer, "blk.<layer_idx>.*".
class LayerBinder {
 public:
  LayerBinder(const TensorBinder& binder, const Architecture& architecture,
              const ModelConfig& config, int32_t layer_idx)
      : binder_(binder),
        architecture_(architecture),
        config_(config),
        prefix_(fmt::format("blk.{}.", layer_idx)) {}

  Status norms(LayerWeights& layer) const {
    const int64_t hidden = config_.hidden_dim;
    if (architecture_.pre_norms) {
      RUVLLM_ASSIGN(layer.attn_norm, binder_.vector(name("attn_norm.weight"), hidden));
      RUVLLM_ASSIGN(
          layer.ffn_norm,
          binder_.vector(name(fmt::format("{}.weight", architecture_.ffn_norm_name)), hidden));
    }
    if (architecture_.post_norms) {
      RUVLLM_ASSIGN(layer.attn_post_norm,
                    binder_.vector(name("post_attention_norm.weight"), hidden));
      RUVLLM_ASSIGN(layer.ffn_post_norm, binder_.vector(name("post_ffw_norm.weight"), hidden));
    }
    if (architecture_.stream_norms) {
      RUVLLM_ASSIGN(layer.attn_stream_norm,
                    bind_layer_norm(binder_, name("attn_output_norm"), hidden));
      RUVLLM_ASSIGN(layer.ffn_stream_norm,
                    bind_layer_norm(binder_, name("layer_output_norm"), hidden));
    }
    if (architecture_.qk_norm != QkNorm::kNone) {
      const bool per_head = architecture_.qk_norm == QkNorm::kPerHead;
      RUVLLM_ASSIGN(layer.q_norm, binder_.vector(name("attn_q_norm.weight"),
                                                 per_head ? config_.head_dim : config_.q_dim()));
      RUVLLM_ASSIGN(layer.k_norm, binder_.vector(name("attn_k_norm.weight"),
                                                 per_head ? config_.head_dim : config_.kv_dim()));
    }
    return {};
  }

  Status attention(LayerWeights& layer) const {
    const int64_t hidden = config_.hidden_dim;
    const int64_t q_dim = config_.q_dim(), kv_dim = config_.kv_dim();
    const bool bias = architecture_.requires_qkv_bias;
    if (binder_.has(name("attn_qkv.weight"))) {
      RUVLLM_ASSIGN(const std::vector<ops::LinearPlan> qkv,
                    binder_.fused_linear(name("attn_qkv"), {q_dim, kv_dim, kv_dim}, hidden,
                                         layer.biases, bias));
      layer.q = qkv[0];
      layer.k = qkv[1];
      layer.v = qkv[2];
    } else {
      RUVLLM_ASSIGN(layer.q, linear("attn_q", q_dim, hidden, layer, bias));
      RUVLLM_ASSIGN(layer.k, linear("attn_k", kv_dim, hidden, layer, bias));
      RUVLLM_ASSIGN(layer.v, linear("attn_v", kv_dim, hidden, layer, bias));
    }
    RUVLLM_ASSIGN(layer.attn_sinks,
                  binder_.optional_vector(name("attn_sinks.weight"), config_.num_heads));
    RUVLLM_ASSIGN(layer.attn_output, linear("attn_output", hidden, q_dim, layer));
    return {};
  }

  Status experts(LayerWeights& layer) const {
    const int32_t hidden = config_.hidden_dim;
    const ExpertConfig& experts = *config_.experts;
    const int32_t count = experts.routing.num_experts;
    const bool bias = architecture_.experts->requires_bias;
    ops::MoePlan plan;
    plan.routing = experts.routing;
    plan.activation = experts.activation;
    const auto expert_linear = [&](std::string_view part, int32_t out_dim, int32_t in_dim) {
      return binder_.expert_linear(name(part), count, out_dim, in_dim, layer.biases, bias);
    };
    RUVLLM_ASSIGN(plan.router, linear("ffn_gate_inp", count, hidden, layer, bias));
    RUVLLM_ASSIGN(plan.gate, expert_linear("ffn_gate_exps", experts.ffn_dim, hidden));
    RUVLLM_ASSIGN(plan.up, expert_linear("ffn_up_exps", experts.ffn_dim, hidden));
    RUVLLM_ASSIGN(plan.down, expert_linear("ffn_down_exps", hidden, experts.ffn_dim));
    layer.experts = plan;
    return {};
  }

  Status feed_forward(LayerWeights& layer) const {
    if (config_.experts) return experts(layer);
    const int64_t hidden = config_.hidden_dim, ffn = config_.ffn_dim;
    if (architecture_.fuses_gate_and_up) {
      RUVLLM_ASSIGN(const std::vector<ops::LinearPlan> gate_up,
                    binder_.fused_linear(name("ffn_up"), {ffn, ffn}, hidden, layer.biases));
      layer.gate = gate_up[0];
      layer.up = gate_up[1];
    } else {
      if (config_.has_ffn_gate) {
        RUVLLM_ASSIGN(layer.gate, linear("ffn_gate", ffn, hidden, layer));
      }
      RUVLLM_ASSIGN(layer.up, linear("ffn_up", ffn, hidden, layer));
    }
    RUVLLM_ASSIGN(layer.down, linear("ffn_down", hidden, ffn, layer));
    return {};
  }

 private:
  std::string name(std::string_view part) const { return prefix_ + std::string(part); }
  Result<ops::LinearPlan> linear(std::string_view part, int64_t out_dim, int64_t in_dim,
                                 LayerWeights& layer, bool requires_bias = false) const {
    return binder_.linear(name(part), out_dim, in_dim, layer.biases, requires_bias);
  }

  const TensorBinder& binder_;
  const Architecture& architecture_;
  const ModelConfig& config_;
  const std::string prefix_;
};

Result<std::vector<float>> bind_rope_factors(const TensorBinder& binder, const ModelConfig& config,
                                             const std::string& name) {
  RUVLLM_ASSIGN(std::vector<float> factors, binder.optional_vector(name, config.rope_dim / 2));
  if (std::ranges::any_of(factors, [](float factor) { return factor <= 0.0f; })) {
    return fail(ErrorCode::kCorrupt,
                "{}: tensor '{}' has values that are not positive; download the file again",
                binder.path(), name);
  }
  return factors;
}

Status bind_rope(const TensorBinder& binder, const ModelConfig& config, ModelWeights& weights) {
  RUVLLM_ASSIGN(weights.rope_factors, bind_rope_factors(binder, config, "rope_freqs.weight"));
  RUVLLM_ASSIGN(weights.rope_factors_short,
                bind_rope_factors(binder, config, "rope_factors_short.weight"));
  RUVLLM_ASSIGN(weights.rope_factors_long,
                bind_rope_factors(binder, config, "rope_factors_long.weight"));
  if (weights.rope_factors_short.empty() != weights.rope_factors_long.empty()) {
    return fail(ErrorCode::kCorrupt,
                "{}: only one of the tensors 'rope_factors_short.weight' and "
                "'rope_factors_long.weight' is there; the file is incomplete",
                binder.path());
  }
  return {};
}

// What turns a token into its first state; sets config.vocab_size.
Status bind_embedding(const TensorBinder& binder, ModelConfig& config, ModelWeights& weights) {
  const int64_t hidden = config.hidden_dim;
  RUVLLM_ASSIGN(weights.token_embedding, binder.matrix("token_embd.weight", -1, hidden));
  config.vocab_size = static_cast<int32_t>(weights.token_embedding.num_rows);
  if (config.has_position_embedding) {
    RUVLLM_ASSIGN(weights.position_embedding,
                  binder.matrix("position_embd.weight", config.context_length, hidden));
  }
  if (!config.stream_norms) return {};
  RUVLLM_ASSIGN(weights.embedding_norm, bind_layer_norm(binder, "token_embd_norm", hidden));
  constexpr const char* kTypes = "token_types.weight";
  if (!binder.has(kTypes)) return {};
  RUVLLM_ASSIGN(weights.type_embedding, binder.first_row(kTypes, hidden));
  return {};
}

Status bind_output(const TensorBinder& binder, const device::CpuDevice& device,
                   const ModelConfig& config, ModelWeights& weights) {
  RUVLLM_ASSIGN(weights.output_norm, binder.vector("output_norm.weight", config.hidden_dim));
  const char* output = binder.has("output.weight") ? "output.weight" : "token_embd.weight";
  RUVLLM_ASSIGN(const MatrixView output_view,
                binder.matrix(output, config.vocab_size, config.hidden_dim));
  RUVLLM_ASSIGN(weights.output, ops::plan_linear(device, output_view, nullptr, output));
  return {};
}

}  // namespace

Result<ModelWeights> bind_weights(const formats::GgufFile& file, const Architecture& architecture,
                                  const device::CpuDevice& device, ModelConfig& config) {
  const TensorBinder binder(file, device);
  ModelWeights weights;
  RUVLLM_TRY(bind_embedding(binder, config, weights));
  weights.layers.reserve(static_cast<size_t>(config.num_layers));
  for (int32_t i = 0; i < config.num_layers; ++i) {
    // Moving a LayerWeights keeps its bias vectors' storage, so the plans' pointers stay valid.
    LayerWeights layer;
    const LayerBinder layer_binder(binder, architecture, config, i);
    RUVLLM_TRY(layer_binder.norms(layer));
    RUVLLM_TRY(layer_binder.attention(layer));
    RUVLLM_TRY(layer_binder.feed_forward(layer));
    weights.layers.push_back(std::move(layer));
  }
  if (config.has_output) RUVLLM_TRY(bind_output(binder, device, config, weights));
  RUVLLM_TRY(bind_rope(binder, config, weights));
  return weights;
}

}  // namespace ruvllm::model
