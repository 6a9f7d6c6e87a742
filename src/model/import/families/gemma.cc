// Gemma 2 and 3: four norms a layer, stored as their distance from 1; sliding windows between full
// layers; soft caps (2). The output matrix is always the embedding.
#include "model/import/family.h"
#include "model/import/metadata.h"

namespace ruvllm::model {
namespace {

using formats::GgufMetadata;
using enum Need;
using enum TensorChange;

constexpr TensorRule kRules[] = {
    {"lm_head.weight", "", kOptional},
    {"model.norm.weight", "output_norm.weight", kRequired, kAddOne},
    {"model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", kRequired, kAddOne},
    {"model.layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight",
     kRequired, kAddOne},
    {"model.layers.{}.pre_feedforward_layernorm.weight", "blk.{}.ffn_norm.weight", kRequired,
     kAddOne},
    {"model.layers.{}.post_feedforward_layernorm.weight", "blk.{}.post_ffw_norm.weight", kRequired,
     kAddOne},
    {"model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight", kOptional, kAddOne},
    {"model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight", kOptional, kAddOne},
};

constexpr std::string_view kGemma2Names[] = {"Gemma2ForCausalLM"};
constexpr std::string_view kGemma3Names[] = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"};

constexpr ConfigDefault kGemma2Defaults[] = {
    {"rms_norm_eps", 1e-6},  {"max_position_embeddings", 8192}, {"num_key_value_heads", 4},
    {"head_dim", 256},       {"attn_logit_softcapping", 50},    {"final_logit_softcapping", 30},
    {"sliding_window", 4096}};
constexpr ConfigDefault kGemma3Defaults[] = {{"rms_norm_eps", 1e-6},
                                             {"max_position_embeddings", 131072},
                                             {"num_attention_heads", 8},
                                             {"num_key_value_heads", 4},
                                             {"head_dim", 256},
                                             {"rope_theta", 1000000},
                                             {"rope_local_base_freq", 10000},
                                             {"sliding_window", 4096}};

Status add_gemma2(const ImportContext& context, GgufMetadata& metadata) {
  struct Key {
    std::string_view hf, gguf;
  };
  constexpr Key kIntegers[] = {{"max_position_embeddings", "context_length"},
                               {"hidden_size", "embedding_length"},
                               {"num_hidden_layers", "block_count"},
                               {"intermediate_size", "feed_forward_length"},
                               {"num_attention_heads", "attention.head_count"},
                               {"num_key_value_heads", "attention.head_count_kv"},
                               {"head_dim", "attention.key_length"},
                               {"head_dim", "attention.value_length"},
                               {"sliding_window", "attention.sliding_window"}};
  constexpr Key kNumbers[] = {{"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
                              {"attn_logit_softcapping", "attn_logit_softcapping"},
                              {"final_logit_softcapping", "final_logit_softcapping"}};
  for (const Key& key : kIntegers) {
    RUVLLM_ASSIGN(const uint32_t value, context.config.integer(key.hf));
    metadata.add_uint32(context.key(key.gguf), value);
  }
  for (const Key& key : kNumbers) {
    RUVLLM_ASSIGN(const double value, context.config.number(key.hf));
    metadata.add_float32(context.key(key.gguf), static_cast<float>(value));
  }
  return {};
}

Status add_gemma3(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_decoder_metadata(context, metadata));
  const HfConfig& config = context.config;
  if (config.has("final_logit_softcapping")) {
    RUVLLM_ASSIGN(const double cap, config.number("final_logit_softcapping"));
    metadata.add_float32(context.key("final_logit_softcapping"), static_cast<float>(cap));
  }
  RUVLLM_ASSIGN(const uint32_t pattern, config.integer_or("sliding_window_pattern", 6));
  if (pattern == 1) return {};
  RUVLLM_ASSIGN(const uint32_t window, config.integer("sliding_window"));
  metadata.add_uint32(context.key("attention.sliding_window"), window);
  return {};
}

}  // namespace

const Family kGemma2Import = {.hf_architectures = kGemma2Names,
                              .architecture = "gemma2",
                              .has_decoder_names = true,
                              .own_rules = kRules,
                              .defaults = kGemma2Defaults,
                              .add_metadata = add_gemma2,
                              .add_tensors = nullptr};

const Family kGemma3Import = {.hf_architectures = kGemma3Names,
                              .architecture = "gemma3",
                              .has_decoder_names = true,
                              .own_rules = kRules,
                              .defaults = kGemma3Defaults,
                              .add_metadata = add_gemma3,
                              .add_tensors = nullptr};

}  // namespace ruvllm::model
