// Llama 1 to 3 and what shares its block: Mistral, Mixtral, SmolLM3, Granite. GGUF reorders the
// rows of q and k so that rotary pairs lie side by side.
#include "model/import/family.h"
#include "model/import/metadata.h"

namespace ruvllm::model {
namespace {

using formats::GgufMetadata;
using enum Need;
using enum TensorChange;

constexpr TensorRule kInterleaved[] = {
    {"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", kRequired, kQueryHeads},
    {"model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", kRequired, kKeyHeads},
    {"model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias", kOptional, kQueryHeads},
    {"model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias", kOptional, kKeyHeads},
    {"model.layers.{}.mlp.gate_proj.bias", "blk.{}.ffn_gate.bias", kOptional},
    {"model.layers.{}.mlp.up_proj.bias", "blk.{}.ffn_up.bias", kOptional},
    {"model.layers.{}.mlp.down_proj.bias", "blk.{}.ffn_down.bias", kOptional},
};

constexpr TensorRule kExperts[] = {
    {"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", kRequired, kQueryHeads},
    {"model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", kRequired, kKeyHeads},
    {"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", kOptional},
    {"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", kOptional},
    {"model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", kOptional},
    {"model.layers.{}.block_sparse_moe.gate.weight", "blk.{}.ffn_gate_inp.weight"},
    {"model.layers.{}.block_sparse_moe.experts.{}.w1.weight", "blk.{}.ffn_gate_exps.weight",
     kRequired, kExpert},
    {"model.layers.{}.block_sparse_moe.experts.{}.w2.weight", "blk.{}.ffn_down_exps.weight",
     kRequired, kExpert},
    {"model.layers.{}.block_sparse_moe.experts.{}.w3.weight", "blk.{}.ffn_up_exps.weight",
     kRequired, kExpert},
};

constexpr std::string_view kLlamaNames[] = {"LlamaForCausalLM", "LLaMAForCausalLM"};
constexpr std::string_view kMistralNames[] = {"MistralForCausalLM"};
constexpr std::string_view kMixtralNames[] = {"MixtralForCausalLM"};
constexpr std::string_view kSmolLm3Names[] = {"SmolLM3ForCausalLM"};
constexpr std::string_view kGraniteNames[] = {"GraniteForCausalLM"};

constexpr ConfigDefault kDefaults[] = {
    {"rms_norm_eps", 1e-6}, {"max_position_embeddings", 2048}, {"rope_theta", 10000}};
constexpr ConfigDefault kMistralDefaults[] = {{"rms_norm_eps", 1e-6},
                                              {"max_position_embeddings", 131072},
                                              {"num_key_value_heads", 8},
                                              {"rope_theta", 10000}};
constexpr ConfigDefault kMixtralDefaults[] = {
    {"rms_norm_eps", 1e-5},   {"max_position_embeddings", 131072}, {"num_key_value_heads", 8},
    {"num_local_experts", 8}, {"num_experts_per_tok", 2},          {"rope_theta", 1e6}};
constexpr ConfigDefault kSmolLm3Defaults[] = {
    {"rms_norm_eps", 1e-6}, {"max_position_embeddings", 32768}, {"rope_theta", 2000000}};

Status add_llama(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_decoder_metadata(context, metadata));
  RUVLLM_ASSIGN(const uint32_t vocab_size, context.config.integer("vocab_size"));
  metadata.add_uint32(context.key("vocab_size"), vocab_size);
  RUVLLM_ASSIGN(const uint32_t head_dim, head_dim_of(context.config));
  metadata.add_uint32(context.key("rope.dimension_count"), head_dim);
  return {};
}

// llama.cpp's converter drops the window; without it long texts are read differently than in
// training.
Status add_mistral(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_llama(context, metadata));
  RUVLLM_ASSIGN(const uint32_t window, context.config.integer_or("sliding_window", 0));
  if (window > 0) metadata.add_uint32(context.key("attention.sliding_window"), window);
  return {};
}

Status add_granite(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_llama(context, metadata));
  struct Multiplier {
    std::string_view hf, gguf;
  };
  constexpr Multiplier kMultipliers[] = {{"attention_multiplier", "attention.scale"},
                                         {"embedding_multiplier", "embedding_scale"},
                                         {"residual_multiplier", "residual_scale"},
                                         {"logits_scaling", "logit_scale"}};
  for (const Multiplier& multiplier : kMultipliers) {
    RUVLLM_ASSIGN(const double value, context.config.number_or(multiplier.hf, 0.0));
    if (value == 0.0) continue;
    metadata.add_float32(context.key(multiplier.gguf), static_cast<float>(value));
  }
  return {};
}

}  // namespace

const Family kLlamaImport = {.hf_architectures = kLlamaNames,
                             .architecture = "llama",
                             .has_decoder_names = true,
                             .own_rules = kInterleaved,
                             .defaults = kDefaults,
                             .add_metadata = add_llama,
                             .add_tensors = add_llama3_rope_factors};

const Family kMistralImport = {.hf_architectures = kMistralNames,
                               .architecture = "llama",
                               .has_decoder_names = true,
                               .own_rules = kInterleaved,
                               .defaults = kMistralDefaults,
                               .add_metadata = add_mistral,
                               .add_tensors = add_llama3_rope_factors};

const Family kMixtralImport = {.hf_architectures = kMixtralNames,
                               .architecture = "llama",
                               .has_decoder_names = true,
                               .own_rules = kExperts,
                               .defaults = kMixtralDefaults,
                               .add_metadata = add_mistral,
                               .add_tensors = add_llama3_rope_factors};

// Every fourth layer has no rotary positions; the runtime knows that by the architecture's name.
const Family kSmolLm3Import = {.hf_architectures = kSmolLm3Names,
                               .architecture = "smollm3",
                               .has_decoder_names = true,
                               .own_rules = kInterleaved,
                               .defaults = kSmolLm3Defaults,
                               .add_metadata = add_llama,
                               .add_tensors = add_llama3_rope_factors};

const Family kGraniteImport = {.hf_architectures = kGraniteNames,
                               .architecture = "granite",
                               .has_decoder_names = true,
                               .own_rules = kInterleaved,
                               .defaults = kDefaults,
                               .add_metadata = add_granite,
                               .add_tensors = nullptr};

}  // namespace ruvllm::model
