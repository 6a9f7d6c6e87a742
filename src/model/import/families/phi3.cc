// Phi-3 and Phi-4: q, k, v in one matrix, gate and up in another, kept so; two tables of rotary
// divisors for short and long contexts (https://arxiv.org/abs/2402.13753).
#include <cmath>

#include "model/import/family.h"
#include "model/import/metadata.h"

namespace ruvllm::model {
namespace {

using formats::GgufMetadata;
using enum Need;

constexpr TensorRule kRules[] = {
    {"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", kOptional},
    {"model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", kOptional},
    {"model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight", kOptional},
    {"model.layers.{}.self_attn.qkv_proj.weight", "blk.{}.attn_qkv.weight"},
    {"model.layers.{}.self_attn.qkv_proj.bias", "blk.{}.attn_qkv.bias", kOptional},
    {"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", kOptional},
    {"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", kOptional},
    {"model.layers.{}.mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight"},
};

constexpr std::string_view kNames[] = {"Phi3ForCausalLM"};
constexpr ConfigDefault kDefaults[] = {
    {"rms_norm_eps", 1e-5}, {"max_position_embeddings", 4096}, {"rope_theta", 10000}};

const MetadataKey kIntegers[] = {{"context_length", {"max_position_embeddings"}, kRequired},
                                 {"embedding_length", {"hidden_size"}, kRequired},
                                 {"feed_forward_length", {"intermediate_size"}, kRequired},
                                 {"block_count", {"num_hidden_layers"}, kRequired},
                                 {"attention.head_count", {"num_attention_heads"}, kRequired}};
const MetadataKey kNumbers[] = {{"attention.layer_norm_rms_epsilon", {"rms_norm_eps"}, kRequired}};

struct Phi3Rope {
  uint32_t dims = 0;
  uint32_t context_length = 0;
  uint32_t original_length = 0;
  formats::JsonFields scaling;
  std::string type;
  double theta = 0.0;
};

Result<Phi3Rope> phi3_rope(const HfConfig& config) {
  Phi3Rope out;
  RUVLLM_ASSIGN(RopeConfig rope, rope_config(config));
  out.scaling = std::move(rope.scaling);
  out.type = std::move(rope.type);
  out.theta = rope.theta;
  RUVLLM_ASSIGN(const double outer_part, config.number_or("partial_rotary_factor", 1.0));
  RUVLLM_ASSIGN(const double part, out.scaling.number_or("partial_rotary_factor", outer_part));
  RUVLLM_ASSIGN(const uint32_t hidden, config.integer("hidden_size"));
  RUVLLM_ASSIGN(const uint32_t heads, config.integer("num_attention_heads"));
  if (heads == 0) return config.refuse("num_attention_heads", "is 0");
  if (!(part > 0.0 && part <= 1.0)) return config.refuse("partial_rotary_factor", "is not 0 to 1");
  out.dims = static_cast<uint32_t>(part * hidden) / heads;
  RUVLLM_ASSIGN(out.context_length, config.integer("max_position_embeddings"));
  RUVLLM_ASSIGN(const uint32_t original,
                config.integer_or("original_max_position_embeddings", out.context_length));
  RUVLLM_ASSIGN(out.original_length,
                out.scaling.integer_or("original_max_position_embeddings", original));
  return out;
}

Status add_phi3(const ImportContext& context, GgufMetadata& metadata) {
  const HfConfig& config = context.config;
  RUVLLM_ASSIGN(const Phi3Rope rope, phi3_rope(config));
  RUVLLM_TRY(add_integers(context, config, kIntegers, metadata));
  RUVLLM_ASSIGN(const uint32_t heads, config.integer("num_attention_heads"));
  RUVLLM_ASSIGN(const uint32_t kv_heads, config.integer_or("num_key_value_heads", heads));
  RUVLLM_TRY(add_numbers(context, config, kNumbers, metadata));
  RUVLLM_ASSIGN(const uint32_t window, config.integer_or("sliding_window", 0));
  metadata.add_uint32(context.key("attention.head_count_kv"), kv_heads);
  metadata.add_uint32(context.key("rope.scaling.original_context_length"), rope.original_length);
  metadata.add_uint32(context.key("rope.dimension_count"), rope.dims);
  metadata.add_float32(context.key("rope.freq_base"), static_cast<float>(rope.theta));
  metadata.add_uint32(context.key("attention.sliding_window"), window);
  if (!rope.scaling.has("long_factor")) return {};
  const double scale =
      static_cast<double>(rope.context_length) / static_cast<double>(rope.original_length);
  double factor = 1.0;
  if (scale > 1.0 && rope.type == "yarn") {
    factor = 0.1 * std::log(scale) + 1.0;
  } else if (scale > 1.0) {
    factor = std::sqrt(1.0 + std::log(scale) / std::log(rope.original_length));
  }
  metadata.add_float32(context.key("rope.scaling.attn_factor"), static_cast<float>(factor));
  return {};
}

Status add_factors(const ImportContext& context, std::vector<TensorPlan>& plans) {
  RUVLLM_ASSIGN(const Phi3Rope rope, phi3_rope(context.config));
  if (!rope.scaling.has("long_factor")) return {};
  struct Table {
    std::string_view hf, gguf;
  };
  for (const Table& table : {Table{"long_factor", "rope_factors_long.weight"},
                             Table{"short_factor", "rope_factors_short.weight"}}) {
    RUVLLM_ASSIGN(const std::vector<double> numbers, rope.scaling.numbers(table.hf));
    if (numbers.empty() || numbers.size() != rope.dims / 2) {
      return rope.scaling.refuse(table.hf, "has not one number for each rotary pair");
    }
    plans.push_back(
        computed_tensor(table.gguf, std::vector<float>(numbers.begin(), numbers.end())));
  }
  return {};
}

}  // namespace

const Family kPhi3Import = {.hf_architectures = kNames,
                            .architecture = "phi3",
                            .has_decoder_names = true,
                            .own_rules = kRules,
                            .defaults = kDefaults,
                            .add_metadata = add_phi3,
                            .add_tensors = add_factors};

}  // namespace ruvllm::model
