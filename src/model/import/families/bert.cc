// BERT and Nomic BERT: encoders for embeddings. Heads for masked words and poolers are left out, as
// embeddings do not use them.
#include <string>
#include <string_view>

#include "base/core/error.h"
#include "model/import/family.h"
#include "model/import/metadata.h"

namespace ruvllm::model {
namespace {

using formats::GgufMetadata;
using enum Need;

constexpr TensorRule kBertRules[] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight"},
    {"embeddings.position_embeddings.weight", "position_embd.weight"},
    {"embeddings.token_type_embeddings.weight", "token_types.weight"},
    {"embeddings.LayerNorm.weight", "token_embd_norm.weight"},
    {"embeddings.LayerNorm.bias", "token_embd_norm.bias"},
    {"encoder.layer.{}.attention.self.query.weight", "blk.{}.attn_q.weight"},
    {"encoder.layer.{}.attention.self.query.bias", "blk.{}.attn_q.bias"},
    {"encoder.layer.{}.attention.self.key.weight", "blk.{}.attn_k.weight"},
    {"encoder.layer.{}.attention.self.key.bias", "blk.{}.attn_k.bias"},
    {"encoder.layer.{}.attention.self.value.weight", "blk.{}.attn_v.weight"},
    {"encoder.layer.{}.attention.self.value.bias", "blk.{}.attn_v.bias"},
    {"encoder.layer.{}.attention.output.dense.weight", "blk.{}.attn_output.weight"},
    {"encoder.layer.{}.attention.output.dense.bias", "blk.{}.attn_output.bias"},
    {"encoder.layer.{}.attention.output.LayerNorm.weight", "blk.{}.attn_output_norm.weight"},
    {"encoder.layer.{}.attention.output.LayerNorm.bias", "blk.{}.attn_output_norm.bias"},
    {"encoder.layer.{}.intermediate.dense.weight", "blk.{}.ffn_up.weight"},
    {"encoder.layer.{}.intermediate.dense.bias", "blk.{}.ffn_up.bias"},
    {"encoder.layer.{}.output.dense.weight", "blk.{}.ffn_down.weight"},
    {"encoder.layer.{}.output.dense.bias", "blk.{}.ffn_down.bias"},
    {"encoder.layer.{}.output.LayerNorm.weight", "blk.{}.layer_output_norm.weight"},
    {"encoder.layer.{}.output.LayerNorm.bias", "blk.{}.layer_output_norm.bias"},
    {"embeddings.position_ids", "", kOptional},
    {"pooler.dense.weight", "", kOptional},
    {"pooler.dense.bias", "", kOptional},
    {"cls.predictions.bias", "", kOptional},
    {"cls.predictions.decoder.weight", "", kOptional},
    {"cls.predictions.decoder.bias", "", kOptional},
    {"cls.predictions.transform.dense.weight", "", kOptional},
    {"cls.predictions.transform.dense.bias", "", kOptional},
    {"cls.predictions.transform.LayerNorm.weight", "", kOptional},
    {"cls.predictions.transform.LayerNorm.bias", "", kOptional},
    {"cls.seq_relationship.weight", "", kOptional},
    {"cls.seq_relationship.bias", "", kOptional},
};

constexpr TensorRule kNomicRules[] = {
    {"embeddings.word_embeddings.weight", "token_embd.weight"},
    {"embeddings.token_type_embeddings.weight", "token_types.weight"},
    {"emb_ln.weight", "token_embd_norm.weight"},
    {"emb_ln.bias", "token_embd_norm.bias"},
    {"encoder.layers.{}.attn.Wqkv.weight", "blk.{}.attn_qkv.weight"},
    {"encoder.layers.{}.attn.out_proj.weight", "blk.{}.attn_output.weight"},
    {"encoder.layers.{}.norm1.weight", "blk.{}.attn_output_norm.weight"},
    {"encoder.layers.{}.norm1.bias", "blk.{}.attn_output_norm.bias"},
    {"encoder.layers.{}.mlp.fc11.weight", "blk.{}.ffn_up.weight"},
    {"encoder.layers.{}.mlp.fc12.weight", "blk.{}.ffn_gate.weight"},
    {"encoder.layers.{}.mlp.fc2.weight", "blk.{}.ffn_down.weight"},
    {"encoder.layers.{}.norm2.weight", "blk.{}.layer_output_norm.weight"},
    {"encoder.layers.{}.norm2.bias", "blk.{}.layer_output_norm.bias"},
};

constexpr std::string_view kBertNames[] = {"BertModel", "BertForMaskedLM"};
constexpr std::string_view kNomicNames[] = {"NomicBertModel"};

constexpr ConfigDefault kBertDefaults[] = {{"layer_norm_eps", 1e-12},
                                           {"max_position_embeddings", 512}};
constexpr ConfigDefault kNomicDefaults[] = {{"layer_norm_epsilon", 1e-12},
                                            {"max_trained_positions", 2048}};

// GGUF has no key for these: the architecture's name says them.
Status require_text(const HfConfig& config, std::string_view key, std::string_view value) {
  RUVLLM_ASSIGN(const std::string given, config.string_or(key, value));
  if (given == value) return {};
  return fail(ErrorCode::kUnsupported, "{}: field '{}' is '{}'; only '{}' is supported",
              config.file(), key, given, value);
}

Status add_encoder(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(add_decoder_metadata(context, metadata));
  metadata.add_bool(context.key("attention.causal"), false);
  // llama.cpp needs it, and looks for it beside the vocabulary.
  RUVLLM_ASSIGN(const uint32_t num_types, context.config.integer_or("type_vocab_size", 2));
  metadata.add_uint32("tokenizer.ggml.token_type_count", num_types);
  return {};
}

Status add_bert(const ImportContext& context, GgufMetadata& metadata) {
  RUVLLM_TRY(require_text(context.config, "hidden_act", "gelu"));
  RUVLLM_TRY(require_text(context.config, "position_embedding_type", "absolute"));
  return add_encoder(context, metadata);
}

Status add_nomic_bert(const ImportContext& context, GgufMetadata& metadata) {
  const HfConfig& config = context.config;
  if (config.has("moe_every_n_layers")) {
    return config.refuse("moe_every_n_layers", "is set: mixtures of experts are not supported");
  }
  RUVLLM_TRY(require_text(config, "activation_function", "swiglu"));
  for (const std::string_view key :
       {"qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "prenorm", "parallel_block",
        "rotary_emb_interleaved", "use_rms_norm", "causal"}) {
    RUVLLM_ASSIGN(const bool set, config.boolean_or(key, false));
    if (set) {
      return fail(ErrorCode::kUnsupported, "{}: field '{}' is true, which is not supported",
                  config.file(), key);
    }
  }
  HfConfig adjusted = config;
  RUVLLM_ASSIGN(const uint32_t positions, config.integer("n_positions"));
  RUVLLM_ASSIGN(const uint32_t trained, config.integer("max_trained_positions"));
  adjusted.set("n_positions", positions < trained ? positions : trained);
  RUVLLM_TRY(add_encoder({adjusted, context.architecture}, metadata));
  RUVLLM_ASSIGN(const double theta, config.number_or("rotary_emb_base", 10000.0));
  metadata.add_float32(context.key("rope.freq_base"), static_cast<float>(theta));
  return {};
}

}  // namespace

const Family kBertImport = {.hf_architectures = kBertNames,
                            .architecture = "bert",
                            .has_decoder_names = false,
                            .own_rules = kBertRules,
                            .defaults = kBertDefaults,
                            .add_metadata = add_bert,
                            .add_tensors = nullptr};

const Family kNomicBertImport = {.hf_architectures = kNomicNames,
                                 .architecture = "nomic-bert",
                                 .has_decoder_names = false,
                                 .own_rules = kNomicRules,
                                 .defaults = kNomicDefaults,
                                 .add_metadata = add_nomic_bert,
                                 .add_tensors = nullptr};

}  // namespace ruvllm::model
