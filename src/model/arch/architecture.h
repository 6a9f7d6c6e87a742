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

struct Architecture {
  std::string_view name;  // general.architecture
  RopeStyle rope_style;
  bool requires_qkv_bias = false;
  QkNorm qk_norm = QkNorm::kNone;
  bool pre_norms = true;    // of a block's input
  bool post_norms = false;  // of a block's output, before it is added to the residual stream
  GateActivation gate_activation = GateActivation::kSilu;
  bool fuses_gate_and_up = false;  // "ffn_up" holds both, gate first
  bool scales_embedding = false;   // by the root of the hidden size
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
};

extern const Architecture kGemma2;
extern const Architecture kGemma3;
extern const Architecture kGranite;
extern const Architecture kLlama;
extern const Architecture kOlmo2;
extern const Architecture kPhi3;
extern const Architecture kQwen2;
extern const Architecture kQwen3;
extern const Architecture kSmollm3;

// The architecture that the file names; kUnsupported with the known ones otherwise.
Result<const Architecture*> find_architecture(const formats::GgufFile& file);
std::vector<std::string> architecture_names();

}  // namespace ruvllm::model
