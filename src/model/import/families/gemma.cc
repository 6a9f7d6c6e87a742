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

const MetadataKey kGemma2Integers[] = {
    {"context_length", {"max_position_embeddings"}, kRequired},
    {"embedding_length", {"hidden_size"}, kRequired},
    {"block_count", {"num_hidden_layers"}, kRequired},
    {"feed_forward_length", {"intermediate_size"}, kRequired},
    {"attention.head_count", {"num_attention_heads"}, kRequired},
    {"attention.head_count_kv", {"num_key_value_heads"}, kRequired},
    {"attention.key_length", {"head_dim"}, kRequired},
    {"attention.value_length", {"head_dim"}, kRequired},
    {"attention.sliding_window", {"sliding_window"}, kRequired}};
const MetadataKey kGemma2Numbers[] = {
    {"attention.layer_norm_rms_epsilon", {"rms_norm_eps"}, kRequired},
    {"attn_logit_softcapping", {"attn_logit_softcapping"}, kRequired},
    {"final_logit_softcapping", {"final_logit_softcapping"}, kRequired}};
const MetadataKey kGemma3Numbers[] = {{"final_logit_softcapping", {"final_logit_softcapping"}}};
const MetadataKey kGemma3Windows[] = {{"attention.sliding_window", {"sliding_window"}, kRequired}};

Status add_gemma2(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_integers(context, context.config, kGemma2Integers, metadata));
  return add_numbers(context, context.config, kGemma2Numbers, metadata);
}

Status add_gemma3(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_decoder_metadata(context, metadata));
  RUVLLM_TRY(add_numbers(context, context.config, kGemma3Numbers, metadata));
  RUVLLM_ASSIGN(const uint32_t pattern, context.config.integer_or("sliding_window_pattern", 6));
  if (pattern == 1) return {};
  return add_integers(context, context.config, kGemma3Windows, metadata);
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
