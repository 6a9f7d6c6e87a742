// OLMo 2 (https://arxiv.org/abs/2501.00656): norms after attention and feed-forward, none before;
// q and k normalised over their whole width.
#include "model/import/family.h"
#include "model/import/metadata.h"

namespace ruvllm::model {
namespace {

using enum Need;

constexpr TensorRule kRules[] = {
    {"model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", kOptional},
    {"model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight"},
    {"model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight"},
    {"model.layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight"},
    {"model.layers.{}.post_feedforward_layernorm.weight", "blk.{}.post_ffw_norm.weight"},
};

constexpr std::string_view kNames[] = {"Olmo2ForCausalLM"};
constexpr ConfigDefault kDefaults[] = {
    {"rms_norm_eps", 1e-5}, {"max_position_embeddings", 2048}, {"rope_theta", 10000}};

}  // namespace

const Family kOlmo2Import = {.hf_architectures = kNames,
                             .architecture = "olmo2",
                             .has_decoder_names = true,
                             .own_rules = kRules,
                             .defaults = kDefaults,
                             .add_metadata = add_decoder_metadata,
                             .add_tensors = nullptr};

}  // namespace ruvllm::model
