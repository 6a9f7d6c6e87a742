// The shape of a model: what drives the one decoder block, and how its layers differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"
#include "model/arch/architecture.h"
#include "ops/lora_base.h"
#include "ops/moe/moe.h"
#include "ops/rope.h"

namespace ruvllm::model {

inline constexpr int32_t kNoRope = -1;

// Our own, which llama.cpp ignores: false where the ends of YaRN's ramp are not rounded, as
// "truncate" in Hugging Face's rope_scaling says. Absent: rounded.
inline constexpr std::string_view kYarnTruncateKey = "rope.scaling.yarn_truncate";

// How the final states of a text's tokens become its embedding; numbered as in files, which may
// also ask for a rank. The public ruvllm::Pooling lies above this layer and has embeddings only.
enum class Pooling : int8_t {
  kNone = 0,  // they stay as they are: one vector a token
  kMean = 1,
  kCls = 2,  // the first token's
  kLast = 3,
  kRank = 4,  // not an embedding but a score: rerankers
};

struct LayerConfig {
  int32_t window = 0;    // positions that a row sees, its own included; 0: all up to its own
  int32_t rope_idx = 0;  // which of ModelConfig::ropes turns q and k, or kNoRope
};

struct ExpertConfig {
  ops::ExpertRouting routing;
  ops::ExpertActivation activation = ops::ExpertActivation::kSwiglu;
  int32_t ffn_dim = 0;  // of one expert
};

struct ModelConfig {
  std::string architecture;  // "qwen2"
  std::string name;          // for people
  int32_t num_layers = 0;
  int32_t hidden_dim = 0;
  int32_t ffn_dim = 0;
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t vocab_size = 0;
  int32_t context_length = 0;  // that the model was trained for
  float norm_epsilon = 0.0f;

  RopeStyle rope_style = RopeStyle::kNeox;
  int32_t rope_dim = 0;
  // Without the factors, which are tensors and belong to the first.
  std::vector<ops::RopeConfig> ropes;
  int32_t rope_original_context = 0;  // engines with more tokens use LongRoPE's long factors

  QkNorm qk_norm = QkNorm::kNone;
  bool pre_norms = true;
  bool post_norms = false;
  bool stream_norms = false;
  bool has_ffn_gate = true;
  GateActivation gate_activation = GateActivation::kSilu;
  std::optional<ExpertConfig> experts;  // every layer has a mixture of experts
  bool has_position_embedding = false;
  bool causal = true;              // false: every token sees the whole text, which takes one step
  bool has_output = true;          // false: no logits
  std::optional<Pooling> pooling;  // that the file names

  float attention_scale = 0.0f;     // of q * k
  float attention_soft_cap = 0.0f;  // scores become cap * tanh(score / cap); 0: as they are
  float logit_soft_cap = 0.0f;      // likewise
  float embedding_scale = 1.0f;
  float residual_scale = 1.0f;  // of what a block adds to the residual stream
  float logit_scale = 1.0f;

  std::vector<LayerConfig> layers;  // [num_layers]

  int32_t q_dim() const { return num_heads * head_dim; }
  int32_t kv_dim() const { return num_kv_heads * head_dim; }
  ops::LoraBase lora_base() const;  // what adapters for the model must fit
  bool generates_text() const { return causal && has_output; }
  const LayerConfig& layer(int32_t layer_idx) const {
    return layers[static_cast<size_t>(layer_idx)];
  }
};

// Reads and checks "<architecture>.<key>" for all keys that any architecture has. Errors name the
// key.
Result<ModelConfig> read_config(const formats::GgufFile& file, const Architecture& architecture);

}  // namespace ruvllm::model
