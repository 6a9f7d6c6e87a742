// gpt-oss: a mixture of experts in MXFP4 (or, from fine-tuning, in BF16), attention sinks, biases.
#include "model/import/family.h"
#include "model/import/metadata.h"

namespace ruvllm::model {
namespace {

using formats::GgufMetadata;
using enum Need;
using enum TensorChange;

constexpr TensorRule kRules[] = {
    {"model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias"},
    {"model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias"},
    {"model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias"},
    {"model.layers.{}.self_attn.o_proj.bias", "blk.{}.attn_output.bias"},
    {"model.layers.{}.self_attn.sinks", "blk.{}.attn_sinks.weight"},
    {"model.layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight"},
    {"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", kOptional},
    {"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", kOptional},
    {"model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", kOptional},
    {"model.layers.{}.mlp.router.weight", "blk.{}.ffn_gate_inp.weight"},
    {"model.layers.{}.mlp.router.bias", "blk.{}.ffn_gate_inp.bias"},
    {"model.layers.{}.mlp.experts.gate_up_proj_bias", "blk.{}.ffn_gate_exps.bias", kRequired,
     kGateUpBias},
    {"model.layers.{}.mlp.experts.down_proj_bias", "blk.{}.ffn_down_exps.bias"},
    {"model.layers.{}.mlp.experts.gate_up_proj_blocks", "blk.{}.ffn_gate_exps.weight", kOptional,
     kMxfp4GateUp},
    {"model.layers.{}.mlp.experts.down_proj_blocks", "blk.{}.ffn_down_exps.weight", kOptional,
     kMxfp4Blocks},
    {"model.layers.{}.mlp.experts.gate_up_proj_scales", "", kOptional},
    {"model.layers.{}.mlp.experts.down_proj_scales", "", kOptional},
    {"model.layers.{}.mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight", kOptional,
     kGateUpAlternate},
    {"model.layers.{}.mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight", kOptional,
     kExpertsTranspose},
};

constexpr std::string_view kNames[] = {"GptOssForCausalLM"};
constexpr ConfigDefault kDefaults[] = {
    {"rms_norm_eps", 1e-5},     {"max_position_embeddings", 131072},
    {"num_key_value_heads", 8}, {"head_dim", 64},
    {"rope_theta", 150000},     {"num_experts_per_tok", 4},
    {"sliding_window", 128}};

const MetadataKey kIntegers[] = {{"attention.sliding_window", {"sliding_window"}, kRequired},
                                 {"expert_feed_forward_length", {"intermediate_size"}, kRequired}};

Status add_gpt_oss(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_decoder_metadata(context, metadata));
  return add_integers(context, context.config, kIntegers, metadata);
}

}  // namespace

const Family kGptOssImport = {.hf_architectures = kNames,
                              .architecture = "gpt-oss",
                              .has_decoder_names = true,
                              .own_rules = kRules,
                              .defaults = kDefaults,
                              .add_metadata = add_gpt_oss,
                              .add_tensors = nullptr};

}  // namespace ruvllm::model
