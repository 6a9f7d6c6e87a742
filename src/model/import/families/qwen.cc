// Qwen2, Qwen2.5, Qwen3, Qwen3-Embedding and the Qwen3 mixture of experts. Embedding models carry
// no "model." before their names (import.cc adds it).
#include "model/import/family.h"
#include "model/import/metadata.h"

namespace ruvllm::model {
namespace {

using formats::GgufMetadata;
using enum Need;
using enum TensorChange;

constexpr TensorRule kQwen2Rules[] = {
    {"model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias"},
    {"model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias"},
    {"model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias"},
};

constexpr TensorRule kQwen3Rules[] = {
    {"model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight"},
    {"model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight"},
};

// The experts lie one by one, or stacked by newer versions of transformers.
constexpr TensorRule kQwen3MoeRules[] = {
    {"model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight"},
    {"model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight"},
    {"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", kOptional},
    {"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", kOptional},
    {"model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", kOptional},
    {"model.layers.{}.mlp.gate.weight", "blk.{}.ffn_gate_inp.weight", kOptional},
    {"model.layers.{}.mlp.experts.{}.gate_proj.weight", "blk.{}.ffn_gate_exps.weight", kOptional,
     kExpert},
    {"model.layers.{}.mlp.experts.{}.up_proj.weight", "blk.{}.ffn_up_exps.weight", kOptional,
     kExpert},
    {"model.layers.{}.mlp.experts.{}.down_proj.weight", "blk.{}.ffn_down_exps.weight", kOptional,
     kExpert},
    {"model.layers.{}.mlp.experts.gate_up_proj", "blk.{}.ffn_gate_exps.weight", kOptional,
     kGateUpHalves},
    {"model.layers.{}.mlp.experts.down_proj", "blk.{}.ffn_down_exps.weight", kOptional, kCopy},
};

constexpr std::string_view kQwen2Names[] = {"Qwen2ForCausalLM", "Qwen2Model"};
constexpr std::string_view kQwen3Names[] = {"Qwen3ForCausalLM", "Qwen3Model"};
constexpr std::string_view kQwen3MoeNames[] = {"Qwen3MoeForCausalLM"};

constexpr ConfigDefault kDefaults[] = {
    {"rms_norm_eps", 1e-6}, {"max_position_embeddings", 32768}, {"rope_theta", 10000}};

const MetadataKey kQwen3MoeIntegers[] = {
    {"expert_feed_forward_length", {"moe_intermediate_size"}, kRequired}};

Status add_qwen3_moe(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_decoder_metadata(context, metadata));
  return add_integers(context, context.config, kQwen3MoeIntegers, metadata);
}

}  // namespace

const Family kQwen2Import = {.hf_architectures = kQwen2Names,
                             .architecture = "qwen2",
                             .has_decoder_names = true,
                             .own_rules = kQwen2Rules,
                             .defaults = kDefaults,
                             .add_metadata = add_decoder_metadata,
                             .add_tensors = nullptr};

const Family kQwen3Import = {.hf_architectures = kQwen3Names,
                             .architecture = "qwen3",
                             .has_decoder_names = true,
                             .own_rules = kQwen3Rules,
                             .defaults = kDefaults,
                             .add_metadata = add_decoder_metadata,
                             .add_tensors = nullptr};

const Family kQwen3MoeImport = {.hf_architectures = kQwen3MoeNames,
                                .architecture = "qwen3moe",
                                .has_decoder_names = true,
                                .own_rules = kQwen3MoeRules,
                                .defaults = kDefaults,
                                .add_metadata = add_qwen3_moe,
                                .add_tensors = nullptr};

}  // namespace ruvllm::model
