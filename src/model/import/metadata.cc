#include "model/import/metadata.h"

#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "model/config.h"
#include "ops/rope.h"

namespace ruvllm::model {
namespace {

using formats::GgufMetadata;

const MetadataKey kIntegers[] = {
    {"block_count", {"num_hidden_layers", "n_layer"}},
    {"context_length", {"max_position_embeddings", "n_positions"}},
    {"embedding_length", {"hidden_size", "n_embd"}},
    {"feed_forward_length", {"intermediate_size", "n_inner"}},
    {"attention.head_count", {"num_attention_heads", "n_head"}},
    {"attention.head_count_kv", {"num_key_value_heads"}},
    {"expert_count", {"num_local_experts", "num_experts"}},
    {"expert_used_count", {"num_experts_per_tok", "num_experts_per_token"}},
    {"attention.key_length", {"head_dim"}},
    {"attention.value_length", {"head_dim"}},
};

const MetadataKey kNumbers[] = {
    {"attention.layer_norm_rms_epsilon", {"rms_norm_eps", "norm_eps"}},
    {"attention.layer_norm_epsilon", {"layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"}},
};

// The first of the key's names that is there; none if the key may be absent and is.
Result<std::optional<std::string_view>> name_of(const MetadataKey& key,
                                                const formats::JsonFields& fields) {
  for (const std::string_view name : key.hf) {
    if (fields.has(name)) return name;
  }
  if (key.need == Need::kRequired) return fields.refuse(*key.hf.begin(), "is missing");
  return std::nullopt;
}

Status add_yarn(const ImportContext& context, const formats::JsonFields& scaling,
                GgufMetadata& metadata) {
  RUVLLM_ASSIGN(const uint32_t original, scaling.integer("original_max_position_embeddings"));
  metadata.add_uint32(context.key("rope.scaling.original_context_length"), original);
  const MetadataKey keys[] = {
      {"rope.scaling.yarn_ext_factor", {"extrapolation_factor"}},
      {"rope.scaling.yarn_attn_factor", {"attention_factor", "attn_factor"}},
      {"rope.scaling.yarn_beta_fast", {"beta_fast"}},
      {"rope.scaling.yarn_beta_slow", {"beta_slow"}},
  };
  RUVLLM_TRY(add_numbers(context, scaling, keys, metadata));
  RUVLLM_ASSIGN(const bool truncates, scaling.boolean_or("truncate", true));
  if (!truncates) metadata.add_bool(context.key(kYarnTruncateKey), false);
  return {};
}

Status add_rope(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_ASSIGN(const RopeConfig rope, rope_config(context.config));
  const bool scales = (rope.type == "linear" || rope.type == "yarn") && rope.scaling.has("factor");
  if (scales) {
    RUVLLM_ASSIGN(const double factor, rope.scaling.number("factor"));
    metadata.add_string(context.key("rope.scaling.type"), rope.type);
    metadata.add_float32(context.key("rope.scaling.factor"), static_cast<float>(factor));
  }
  if (scales && rope.type == "yarn") RUVLLM_TRY(add_yarn(context, rope.scaling, metadata));
  if (rope.type == "longrope" || rope.type == "su") {
    metadata.add_string(context.key("rope.scaling.type"), "longrope");
  }
  if (rope.theta > 0.0) {
    metadata.add_float32(context.key("rope.freq_base"), static_cast<float>(rope.theta));
  }
  if (rope.local_theta > 0.0) {
    metadata.add_float32(context.key("rope.freq_base_swa"), static_cast<float>(rope.local_theta));
  }
  const bool known = scales || rope.type.empty() || rope.type == "default" ||
                     rope.type == "llama3" || rope.type == "longrope" || rope.type == "su";
  if (known) return {};
  return fail(ErrorCode::kUnsupported,
              "{}: field 'rope_scaling' is of type '{}'; supported are: linear, yarn, llama3, "
              "longrope",
              context.config.file(), rope.type);
}

}  // namespace

std::string ImportContext::key(std::string_view name) const {
  return fmt::format("{}.{}", architecture, name);
}

Status add_integers(const ImportContext& context, const formats::JsonFields& fields,
                    std::span<const MetadataKey> keys, GgufMetadata& metadata) {
  for (const MetadataKey& key : keys) {
    RUVLLM_ASSIGN(const std::optional<std::string_view> name, name_of(key, fields));
    if (!name) continue;
    RUVLLM_ASSIGN(const uint32_t value, fields.integer(*name));
    metadata.add_uint32(context.key(key.gguf), value);
  }
  return {};
}

Status add_numbers(const ImportContext& context, const formats::JsonFields& fields,
                   std::span<const MetadataKey> keys, GgufMetadata& metadata) {
  for (const MetadataKey& key : keys) {
    RUVLLM_ASSIGN(const std::optional<std::string_view> name, name_of(key, fields));
    if (!name) continue;
    RUVLLM_ASSIGN(const double value, fields.number(*name));
    metadata.add_float32(context.key(key.gguf), static_cast<float>(value));
  }
  return {};
}

Result<uint32_t> head_dim_of(const HfConfig& config) {
  if (config.has("head_dim")) return config.integer("head_dim");
  RUVLLM_ASSIGN(const uint32_t hidden, config.integer("hidden_size"));
  RUVLLM_ASSIGN(const uint32_t heads, config.integer("num_attention_heads"));
  if (heads == 0) return config.refuse("num_attention_heads", "is 0");
  return hidden / heads;
}

Result<RopeConfig> rope_config(const HfConfig& config) {
  RopeConfig rope;
  const bool newer = config.has("rope_parameters");
  RUVLLM_ASSIGN(const formats::JsonFields all,
                config.section(newer ? "rope_parameters" : "rope_scaling"));
  rope.scaling = all;
  if (all.has("full_attention")) {
    RUVLLM_ASSIGN(rope.scaling, all.section("full_attention"));
  }
  if (all.has("sliding_attention")) {
    RUVLLM_ASSIGN(const formats::JsonFields local, all.section("sliding_attention"));
    RUVLLM_ASSIGN(rope.local_theta, local.number_or("rope_theta", 0.0));
  } else if (config.has("rope_local_base_freq")) {
    RUVLLM_ASSIGN(rope.local_theta, config.number("rope_local_base_freq"));
  }
  RUVLLM_ASSIGN(const std::string older_type, rope.scaling.string_or("type", ""));
  RUVLLM_ASSIGN(rope.type, rope.scaling.string_or("rope_type", older_type));
  if (rope.scaling.has("rope_theta")) {
    RUVLLM_ASSIGN(rope.theta, rope.scaling.number("rope_theta"));
  } else {
    RUVLLM_ASSIGN(rope.theta, config.number_or("rope_theta", 0.0));
  }
  return rope;
}

Status add_decoder_metadata(const ImportContext& context, GgufMetadata& metadata) {
  const HfConfig& config = context.config;
  RUVLLM_TRY(add_integers(context, config, kIntegers, metadata));
  RUVLLM_TRY(add_numbers(context, config, kNumbers, metadata));
  return add_rope(context, metadata);
}

TensorPlan computed_tensor(std::string_view name, std::vector<float> values) {
  TensorPlan plan;
  plan.name = name;
  plan.source = name;
  plan.dims = {values.size()};
  plan.row_width = values.size();
  plan.rows_per_part = 1;
  plan.computed = std::move(values);
  return plan;
}

Status add_llama3_rope_factors(const ImportContext& context, std::vector<TensorPlan>& plans) {
  RUVLLM_ASSIGN(const RopeConfig rope, rope_config(context.config));
  if (rope.type != "llama3") return {};
  RUVLLM_ASSIGN(const uint32_t head_dim, head_dim_of(context.config));
  const formats::JsonFields& scaling = rope.scaling;
  ops::Llama3Scaling of;
  RUVLLM_ASSIGN(of.factor, scaling.number_or("factor", of.factor));
  RUVLLM_ASSIGN(of.low_frequency, scaling.number_or("low_freq_factor", of.low_frequency));
  RUVLLM_ASSIGN(of.high_frequency, scaling.number_or("high_freq_factor", of.high_frequency));
  RUVLLM_ASSIGN(of.original_context,
                scaling.number_or("original_max_position_embeddings", of.original_context));
  if (!(of.factor > 0.0) || !(of.low_frequency > 0.0) || !(of.high_frequency > of.low_frequency) ||
      !(of.original_context > 0.0) || head_dim > 4096) {
    return scaling.refuse("factor", "and the frequency factors beside it are no llama3 scaling");
  }
  const double base = rope.theta > 0.0 ? rope.theta : 10000.0;
  plans.push_back(computed_tensor("rope_freqs.weight", ops::llama3_factors(of, head_dim, base)));
  return {};
}

}  // namespace ruvllm::model
