#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "model/config_keys.h"

namespace ruvllm::model {
namespace {

constexpr int32_t kMaxLayers = 1024;
constexpr int32_t kMaxDim = 1 << 20;
constexpr int32_t kMaxHeads = 1024;
constexpr int32_t kMaxHeadDim = 256;
constexpr int32_t kMaxContext = 1 << 26;
constexpr int32_t kMaxExperts = 1024;

Status read_heads(const ConfigKeys& keys, ModelConfig& config) {
  RUVLLM_ASSIGN(config.num_heads, keys.integer("attention.head_count", 1, kMaxHeads));
  RUVLLM_ASSIGN(config.num_kv_heads,
                keys.integer_or("attention.head_count_kv", config.num_heads, 1, kMaxHeads));
  if (config.num_heads % config.num_kv_heads != 0) {
    return fail(ErrorCode::kCorrupt,
                "{}: {} query heads (attention.head_count) are not a multiple of {} KV heads "
                "(attention.head_count_kv)",
                keys.path(), config.num_heads, config.num_kv_heads);
  }
  const int32_t even_share = config.hidden_dim / config.num_heads;
  RUVLLM_ASSIGN(config.head_dim,
                keys.integer_or("attention.key_length", even_share, 1, kMaxHeadDim));
  RUVLLM_ASSIGN(const int32_t value_length,
                keys.integer_or("attention.value_length", config.head_dim, 1, kMaxHeadDim));
  if (value_length != config.head_dim) {
    return fail(ErrorCode::kUnsupported,
                "{}: value heads of {} (attention.value_length) beside key heads of {}",
                keys.path(), value_length, config.head_dim);
  }
  if (config.head_dim % 8 != 0 || config.head_dim == 0 || config.head_dim > kMaxHeadDim) {
    return fail(ErrorCode::kUnsupported,
                "{}: head dimension {} (attention.key_length, or embedding_length / "
                "attention.head_count); expected a multiple of 8 up to {}",
                keys.path(), config.head_dim, kMaxHeadDim);
  }
  return {};
}

// YaRN softens scores by lengthening the rotated vectors, by ln(factor) unless the file says how.
Result<double> yarn_magnitude(const ConfigKeys& keys, double factor) {
  if (keys.has("rope.scaling.yarn_attn_factor")) {
    return keys.positive("rope.scaling.yarn_attn_factor");
  }
  const auto magnitude = [&](double share) {
    return factor <= 1.0 ? 1.0 : 0.1 * share * std::log(factor) + 1.0;
  };
  RUVLLM_ASSIGN(const double share, keys.positive_or_zero("rope.scaling.yarn_log_multiplier"));
  return magnitude(1.0) / magnitude(share);
}

Status read_rope_scaling(const ConfigKeys& keys, ModelConfig& config, ops::RopeConfig& rope) {
  RUVLLM_ASSIGN(config.rope_original_context,
                keys.integer_or("rope.scaling.original_context_length", config.context_length, 1,
                                kMaxContext));
  RUVLLM_ASSIGN(rope.magnitude, keys.positive_or("rope.scaling.attn_factor", 1.0));
  RUVLLM_ASSIGN(const std::string type, keys.string_or("rope.scaling.type", "linear"));
  if (type == "none") return {};
  if (type != "linear" && type != "yarn" && type != "longrope") {
    return fail(ErrorCode::kUnsupported,
                "{}: rope.scaling.type '{}' is not supported; supported are: none, linear, yarn, "
                "longrope",
                keys.path(), type);
  }
  const char* factor_key =
      keys.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  RUVLLM_ASSIGN(const double factor, keys.positive_or_zero(factor_key));
  if (factor > 0.0) rope.linear_scale = factor;
  if (type != "yarn") return {};
  ops::YarnConfig yarn;
  yarn.original_context = config.rope_original_context;
  RUVLLM_ASSIGN(yarn.beta_fast, keys.positive_or("rope.scaling.yarn_beta_fast", yarn.beta_fast));
  RUVLLM_ASSIGN(yarn.beta_slow, keys.positive_or("rope.scaling.yarn_beta_slow", yarn.beta_slow));
  RUVLLM_ASSIGN(yarn.extrapolation,
                keys.positive_or("rope.scaling.yarn_ext_factor", yarn.extrapolation));
  RUVLLM_ASSIGN(yarn.whole_ends, keys.boolean_or(kYarnTruncateKey, yarn.whole_ends));
  RUVLLM_ASSIGN(const double magnitude, yarn_magnitude(keys, rope.linear_scale));
  rope.magnitude *= magnitude;
  rope.yarn = yarn;
  return {};
}

// Sets the rotation of layers that see all positions and returns that of layers with a window.
Result<ops::RopeConfig> read_ropes(const ConfigKeys& keys, const Architecture& architecture,
                                   ModelConfig& config) {
  RUVLLM_ASSIGN(config.rope_dim,
                keys.integer_or("rope.dimension_count", config.head_dim, 2, config.head_dim));
  if (config.rope_dim % 2 != 0) {
    return fail(ErrorCode::kCorrupt, "{}: rope.dimension_count {} is odd", keys.path(),
                config.rope_dim);
  }
  ops::RopeConfig rope{.rope_dim = config.rope_dim};
  RUVLLM_ASSIGN(rope.base, keys.positive_or("rope.freq_base", 10000.0));
  if (rope.base <= 1.0) {
    return fail(ErrorCode::kCorrupt, "{}: rope.freq_base is {}; expected more than 1", keys.path(),
                rope.base);
  }
  ops::RopeConfig local = rope;
  RUVLLM_TRY(read_rope_scaling(keys, config, rope));
  if (architecture.local_rope_is_scaled) local = rope;
  const double local_base =
      architecture.local_rope_base > 0.0 ? architecture.local_rope_base : rope.base;
  RUVLLM_ASSIGN(local.base, keys.positive_or("rope.freq_base_swa", local_base));
  config.ropes = {rope};
  return local;
}

// Which layers see only a window.
Result<std::vector<int64_t>> read_window_flags(const ConfigKeys& keys, int32_t default_period,
                                               int32_t num_layers) {
  constexpr std::string_view kKey = "attention.sliding_window_pattern";
  if (keys.is_array(kKey)) return keys.flags(kKey, num_layers);
  RUVLLM_ASSIGN(const int32_t period, keys.integer_or(kKey, default_period, 0, kMaxLayers));
  std::vector<int64_t> flags;
  for (int32_t i = 0; i < num_layers; ++i) flags.push_back(period == 0 || (i + 1) % period != 0);
  return flags;
}

Status read_text_embedding(const ConfigKeys& keys, const Architecture& architecture,
                           ModelConfig& config) {
  constexpr std::string_view kPooling = "pooling_type";
  RUVLLM_ASSIGN(config.causal, keys.boolean_or("attention.causal", architecture.causal));
  if (!keys.has(kPooling)) return {};
  RUVLLM_ASSIGN(const int32_t type,
                keys.integer(kPooling, 0, static_cast<int32_t>(Pooling::kRank)));
  config.pooling = static_cast<Pooling>(type);
  return {};
}

Status read_layers(const ConfigKeys& keys, const Architecture& architecture,
                   const ops::RopeConfig& local_rope, ModelConfig& config) {
  int32_t window = 0;
  std::vector<int64_t> is_local(static_cast<size_t>(config.num_layers), 0);
  if (architecture.window_period) {
    RUVLLM_ASSIGN(window, keys.integer_or("attention.sliding_window", architecture.default_window,
                                          0, kMaxContext));
    RUVLLM_ASSIGN(is_local,
                  read_window_flags(keys, *architecture.window_period, config.num_layers));
  }
  if (window > 0 && !config.causal) {
    return fail(ErrorCode::kUnsupported,
                "{}: attention.sliding_window {} with attention.causal = false is not supported",
                keys.path(), window);
  }
  int32_t local_rope_idx = 0;
  const bool differs =
      local_rope.base != config.ropes[0].base || !architecture.local_rope_is_scaled;
  if (window > 0 && differs) {
    local_rope_idx = 1;
    config.ropes.push_back(local_rope);
  }
  bool has_rope = true;
  if (architecture.rope_is_optional) {
    RUVLLM_ASSIGN(has_rope, keys.boolean_or("rope.scaling.finetuned", true));
  }
  const int32_t no_rope_period = has_rope ? architecture.no_rope_period : 1;
  for (int32_t i = 0; i < config.num_layers; ++i) {
    LayerConfig layer;
    if (window > 0 && is_local[static_cast<size_t>(i)] != 0) {
      layer.window = window;
      layer.rope_idx = local_rope_idx;
    }
    if (no_rope_period != 0 && (i + 1) % no_rope_period == 0) layer.rope_idx = kNoRope;
    config.layers.push_back(layer);
  }
  const auto has_no_rope = [](const LayerConfig& layer) { return layer.rope_idx == kNoRope; };
  if (std::ranges::all_of(config.layers, has_no_rope)) config.ropes.clear();
  return {};
}

Status read_scales(const ConfigKeys& keys, const Architecture& architecture, ModelConfig& config) {
  const auto assign = [&](std::string_view key, float& target) -> Status {
    RUVLLM_ASSIGN(const double value, keys.positive_or_zero(key));
    if (value > 0.0) target = static_cast<float>(value);
    return {};
  };
  const bool by_hidden = config.num_layers == architecture.layers_with_hidden_query_scale;
  const int32_t scaled_dim = by_hidden ? config.hidden_dim / config.num_heads : config.head_dim;
  config.attention_scale = 1.0f / std::sqrt(static_cast<float>(scaled_dim));
  if (architecture.scales_embedding) {
    config.embedding_scale = std::sqrt(static_cast<float>(config.hidden_dim));
  }
  float logit_divisor = 1.0f;
  RUVLLM_TRY(assign("attention.scale", config.attention_scale));
  RUVLLM_TRY(assign("attn_logit_softcapping", config.attention_soft_cap));
  RUVLLM_TRY(assign("final_logit_softcapping", config.logit_soft_cap));
  RUVLLM_TRY(assign("embedding_scale", config.embedding_scale));
  RUVLLM_TRY(assign("residual_scale", config.residual_scale));
  if (architecture.requires_logit_scale) RUVLLM_TRY(keys.positive("logit_scale"));
  RUVLLM_TRY(assign("logit_scale", logit_divisor));
  config.logit_scale = 1.0f / logit_divisor;
  return {};
}

Result<ops::ExpertGating> read_gating(const ConfigKeys& keys, ops::ExpertGating fallback) {
  constexpr std::string_view kKey = "expert_gating_func";
  if (!keys.has(kKey)) return fallback;
  RUVLLM_ASSIGN(const int32_t value, keys.integer(kKey, 0, std::numeric_limits<int32_t>::max()));
  switch (value) {
    case 0:
      return fallback;
    case 1:
      return ops::ExpertGating::kSoftmax;
    case 2:
      return ops::ExpertGating::kSigmoid;
    case 3:
      return ops::ExpertGating::kSoftmaxOfChosen;
    default:
      return fail(ErrorCode::kUnsupported,
                  "{}: expert_gating_func {} is not supported; supported are: 1 (softmax), "
                  "2 (sigmoid), 3 (softmax of the chosen)",
                  keys.path(), value);
  }
}

// What this decoder does not compute must not be left out in silence.
Status refuse_other_experts(const ConfigKeys& keys) {
  for (const std::string_view key : {"expert_shared_count", "leading_dense_block_count"}) {
    RUVLLM_ASSIGN(const int32_t value, keys.integer_or(key, 0, 0, kMaxLayers));
    if (value != 0) {
      return fail(ErrorCode::kUnsupported, "{}: {} is {}; only 0 is supported", keys.path(), key,
                  value);
    }
  }
  RUVLLM_ASSIGN(const int32_t groups, keys.integer_or("expert_group_count", 1, 0, kMaxExperts));
  if (groups > 1) {
    return fail(ErrorCode::kUnsupported, "{}: expert_group_count is {}; only 1 is supported",
                keys.path(), groups);
  }
  return {};
}

Status read_experts(const ConfigKeys& keys, const Architecture& architecture, ModelConfig& config) {
  RUVLLM_ASSIGN(const int32_t count, keys.integer_or("expert_count", 0, 0, kMaxExperts));
  if (count == 0) {
    if (!architecture.experts || !architecture.experts->required) return {};
    return fail(ErrorCode::kCorrupt,
                "{}: expert_count is missing or 0; the file is damaged or of another model family",
                keys.path());
  }
  if (!architecture.experts) {
    return fail(ErrorCode::kUnsupported,
                "{}: expert_count is {}; experts are not supported in this architecture",
                keys.path(), count);
  }
  RUVLLM_TRY(refuse_other_experts(keys));
  const ExpertTraits& traits = *architecture.experts;
  ExpertConfig experts;
  experts.activation = traits.activation;
  ops::ExpertRouting& routing = experts.routing;
  routing.num_experts = count;
  RUVLLM_ASSIGN(routing.num_used, keys.integer("expert_used_count", 1, count));
  RUVLLM_ASSIGN(routing.gating, read_gating(keys, traits.gating));
  RUVLLM_ASSIGN(routing.normalize, keys.boolean_or("expert_weights_norm", traits.normalize));
  RUVLLM_ASSIGN(const double scale, keys.positive_or_zero("expert_weights_scale"));
  if (scale > 0.0) routing.scale = static_cast<float>(scale);
  RUVLLM_ASSIGN(experts.ffn_dim,
                keys.integer_or("expert_feed_forward_length", config.ffn_dim, 8, kMaxDim));
  config.experts = experts;
  return {};
}

}  // namespace

Result<ModelConfig> read_config(const formats::GgufFile& file, const Architecture& architecture) {
  const ConfigKeys keys(file, architecture.name);
  ModelConfig config;
  config.architecture = architecture.name;
  config.rope_style = architecture.rope_style;
  config.qk_norm = architecture.qk_norm;
  config.pre_norms = architecture.pre_norms;
  config.post_norms = architecture.post_norms;
  config.stream_norms = architecture.stream_norms;
  config.has_ffn_gate = architecture.has_ffn_gate;
  config.gate_activation = architecture.gate_activation;
  config.has_position_embedding = architecture.has_position_embedding;
  config.has_output = architecture.has_output;
  if (file.has("general.name")) {
    RUVLLM_ASSIGN(config.name, file.get_string("general.name"));
  }
  RUVLLM_ASSIGN(config.num_layers, keys.integer("block_count", 1, kMaxLayers));
  RUVLLM_ASSIGN(config.hidden_dim, keys.integer("embedding_length", 8, kMaxDim));
  RUVLLM_ASSIGN(config.ffn_dim, keys.integer("feed_forward_length", 8, kMaxDim));
  RUVLLM_TRY(read_experts(keys, architecture, config));
  RUVLLM_ASSIGN(config.context_length, keys.integer("context_length", 1, kMaxContext));
  RUVLLM_TRY(read_heads(keys, config));
  RUVLLM_ASSIGN(const ops::RopeConfig local_rope, read_ropes(keys, architecture, config));
  RUVLLM_TRY(read_text_embedding(keys, architecture, config));
  RUVLLM_TRY(read_layers(keys, architecture, local_rope, config));
  RUVLLM_TRY(read_scales(keys, architecture, config));
  RUVLLM_ASSIGN(const double epsilon,
                keys.positive(architecture.stream_norms ? "attention.layer_norm_epsilon"
                                                        : "attention.layer_norm_rms_epsilon"));
  config.norm_epsilon = static_cast<float>(epsilon);
  return config;
}

ops::LoraBase ModelConfig::lora_base() const {
  return {.architecture = architecture,
          .num_layers = num_layers,
          .hidden_dim = hidden_dim,
          .ffn_dim = ffn_dim,
          .num_heads = num_heads,
          .num_kv_heads = num_kv_heads,
          .head_dim = head_dim,
          .interleaved_rope = rope_style == RopeStyle::kInterleaved,
          .has_experts = experts.has_value()};
}

}  // namespace ruvllm::model
