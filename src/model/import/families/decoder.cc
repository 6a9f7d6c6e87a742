// The names that nearly all decoders share, and the table of families.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/import/family.h"

namespace ruvllm::model {
namespace {

using enum Need;

constexpr TensorRule kRules[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight", kOptional},
    {"model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    {"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight"},
    {"model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight"},
    {"model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    {"model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    {"model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias", kOptional},
    {"model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias", kOptional},
    {"model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias", kOptional},
    {"model.layers.{}.self_attn.o_proj.bias", "blk.{}.attn_output.bias", kOptional},
    {"model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight", kOptional},
    {"model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight", kOptional},
    {"model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    {"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    {"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    {"model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
    {"model.layers.{}.self_attn.rotary_emb.inv_freq", "", kOptional},
    {"model.rotary_emb.inv_freq", "", kOptional},
};

constexpr const Family* kFamilies[] = {
    &kLlamaImport, &kMistralImport, &kMixtralImport,  &kSmolLm3Import, &kGraniteImport,
    &kQwen2Import, &kQwen3Import,   &kQwen3MoeImport, &kGemma2Import,  &kGemma3Import,
    &kPhi3Import,  &kOlmo2Import,   &kGptOssImport,   &kBertImport,    &kNomicBertImport};

}  // namespace

std::span<const TensorRule> decoder_rules() { return kRules; }

Result<const Family*> find_family(const HfConfig& config) {
  RUVLLM_ASSIGN(const std::vector<std::string> names, config.strings("architectures"));
  if (names.empty()) return config.refuse("architectures", "is empty");
  std::vector<std::string_view> known;
  for (const Family* family : kFamilies) {
    for (const std::string_view name : family->hf_architectures) {
      if (name == names.front()) return family;
      known.push_back(name);
    }
  }
  return fail(ErrorCode::kUnsupported,
              "{}: field 'architectures' says '{}', which is not supported; supported are: {}",
              config.file(), names.front(), fmt::join(known, ", "));
}

}  // namespace ruvllm::model
