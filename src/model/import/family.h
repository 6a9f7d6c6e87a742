// What sets one Hugging Face model family apart for the import: which GGUF architecture it becomes,
// what its tensors are called there and which metadata its config.json turns into. One small file a
// family in families/, table-driven; names and keys are those of llama.cpp's converter.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/assembly/metadata.h"
#include "formats/safetensors/safetensors.h"
#include "model/import/hf_config.h"
#include "model/import/tensor_plan.h"

namespace ruvllm::model {

enum class TensorChange : uint8_t {
  kCopy,
  kAddOne,
  kQueryHeads,        // rows reordered for interleaved rotary pairs, by query heads
  kKeyHeads,          // the same by key heads
  kExpert,            // one of the experts' matrices that are stacked to a tensor
  kGateUpHalves,      // [experts, 2 * ff, in]: gate rows, then up rows
  kGateUpAlternate,   // [experts, in, 2 * ff]: gate and up columns alternate
  kExpertsTranspose,  // [experts, in, out]
  kGateUpBias,        // [experts, 2 * ff], alternating
  kMxfp4Blocks,       // [experts, out, blocks, 16] with "<...>_scales" beside "<...>_blocks"
  kMxfp4GateUp,       // the same, rows of gate and up alternate
};

enum class Need : uint8_t { kRequired, kOptional };

// "{}" stands for a number: the layer, then the expert. Changes that make two tensors of one name
// gate's in `gguf`; "gate" becomes "up" for the other. An empty `gguf`: not needed, left out.
struct TensorRule {
  std::string_view hf;
  std::string_view gguf;
  Need need = Need::kRequired;
  TensorChange change = TensorChange::kCopy;
};

// What a family's functions work on.
struct ImportContext {
  const HfConfig& config;
  std::string_view architecture;                 // GGUF's
  std::string key(std::string_view name) const;  // "<architecture>.<name>"
};

struct Family {
  std::span<const std::string_view> hf_architectures;
  std::string_view architecture;
  bool has_decoder_names = false;  // decoder_rules() apply where own_rules have no such name
  std::span<const TensorRule> own_rules;
  std::span<const ConfigDefault> defaults;
  Status (*add_metadata)(const ImportContext& context, formats::GgufMetadata& metadata);
  // Tensors that are computed from the config; nullptr: none.
  Status (*add_tensors)(const ImportContext& context, std::vector<TensorPlan>& plans) = nullptr;
};

extern const Family kLlamaImport, kMistralImport, kMixtralImport, kSmolLm3Import, kGraniteImport;
extern const Family kQwen2Import, kQwen3Import, kQwen3MoeImport;
extern const Family kGemma2Import, kGemma3Import;
extern const Family kPhi3Import, kOlmo2Import, kGptOssImport;
extern const Family kBertImport, kNomicBertImport;

// The family that config.json's "architectures" names; kUnsupported with the known ones otherwise.
Result<const Family*> find_family(const HfConfig& config);

// The names that nearly all decoders share.
std::span<const TensorRule> decoder_rules();

}  // namespace ruvllm::model
