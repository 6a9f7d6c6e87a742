// What sets one model family apart from the shared decoder block: data that its files leave unsaid.
// One small file a family. Whatever a file says itself (windows, scales, caps) is read from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"
#include "ops/moe/moe.h"

namespace ruvllm::model {

enum class RopeStyle : uint8_t {
  kNeox,         // pairs (i, i + rope_dim / 2)
  kInterleaved,  // pairs (2i, 2i + 1)
};

// RMS norms of queries and keys before they are rotated.
enum class QkNorm : uint8_t {
  kNone,
  kPerHead,     // one weight of [head_dim] for all heads
  kWholeWidth,  // over all heads at once
};

// What the gate of the feed-forward block goes through before it multiplies `up`.
enum class GateActivation : uint8_t { kSilu, kGeluTanh };

// A mixture of experts in place of the feed-forward network (keys expert_*).
struct ExpertTraits {
  bool required = false;  // the family has no members without
  ops::ExpertGating gating = ops::ExpertGating::kSoftmax;
  bool normalize = true;  // the weights of a row's experts add up to 1
  ops::ExpertActivation activation = ops::ExpertActivation::kSwiglu;
  bool requires_bias = false;  // of the router and of every expert's matrices
};

struct Architecture {
  std::string_view name;  // general.architecture
  RopeStyle rope_style;
  bool requires_qkv_bias = false;
  QkNorm qk_norm = QkNorm::kNone;
  bool pre_norms = true;    // of a block's input
  bool post_norms = false;  // of a block's output, before it is added to the residual stream
  // LayerNorms with biases, of the embedding and of the residual stream after each block has added
  // its output, instead of RMS norms.
  bool stream_norms = false;
  GateActivation gate_activation = GateActivation::kSilu;
  bool has_ffn_gate = true;        // false: "ffn_up" alone goes through GELU
  bool fuses_gate_and_up = false;  // "ffn_up" holds both, gate first
  std::string_view ffn_norm_name = "ffn_norm";
  std::optional<ExpertTraits> experts = std::nullopt;  // nothing: no member has experts
  bool scales_embedding = false;                       // by the root of the hidden size
  bool has_position_embedding = false;                 // a learned vector of each position is added
  bool requires_logit_scale = false;
  // Sliding windows: every window_period-th layer sees all positions, the others a window; 0: no
  // layer sees all. Nothing: the family has no windows, whatever the file says.
  std::optional<int32_t> window_period = std::nullopt;
  int32_t default_window = 0;  // where the file names none; 0: then there are none
  // Layers with a window may turn slower or faster than the others.
  double local_rope_base = 0.0;      // default of rope.freq_base_swa; 0: rope.freq_base
  bool local_rope_is_scaled = true;  // rope.scaling.* holds for them too
  bool rope_is_optional = false;     // rope.scaling.finetuned = false: no layer encodes positions
  int32_t no_rope_period = 0;  // every no_rope_period-th layer does not encode positions; 0: none
  // The member with this many layers scales queries by 1 / sqrt(hidden / heads); 0: none does.
  int32_t layers_with_hidden_query_scale = 0;
  bool causal = true;      // where attention.causal is missing
  bool has_output = true;  // false: an encoder, whose last layer's output is the result
};

extern const Architecture kBert;
extern const Architecture kGemma2;
extern const Architecture kGemma3;
extern const Architecture kGptOss;
extern const Architecture kGranite;
extern const Architecture kLlama;
extern const Architecture kNomicBert;
extern const Architecture kOlmo2;
extern const Architecture kPhi3;
extern const Architecture kQwen2;
extern const Architecture kQwen3;
extern const Architecture kQwen3Moe;
extern const Architecture kSmollm3;

// nullptr if there is none of that name.
const Architecture* architecture_of_name(std::string_view name);
// The architecture that the file names; kUnsupported with the known ones otherwise.
Result<const Architecture*> find_architecture(const formats::GgufFile& file);
std::vector<std::string> architecture_names();

}  // namespace ruvllm::model
