// The metadata that families share, from config.json to GGUF's keys.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/assembly/metadata.h"
#include "model/import/family.h"

namespace ruvllm::model {

// One GGUF key and the fields of config.json that may hold its value: the first that is there.
struct MetadataKey {
  std::string_view gguf;
  std::initializer_list<std::string_view> hf;
  Need need = Need::kOptional;
};
Status add_integers(const ImportContext& context, const formats::JsonFields& fields,
                    std::span<const MetadataKey> keys, formats::GgufMetadata& metadata);
Status add_numbers(const ImportContext& context, const formats::JsonFields& fields,
                   std::span<const MetadataKey> keys, formats::GgufMetadata& metadata);

// Layers, sizes, heads, experts, rope and norm epsilon, each if the config has it.
Status add_decoder_metadata(const ImportContext& context, formats::GgufMetadata& metadata);

// Width of a head: "head_dim", or the hidden size over the heads.
Result<uint32_t> head_dim_of(const HfConfig& config);

// The rope parameters, wherever the config keeps them: "rope_parameters" (its "full_attention" part
// if it has parts), "rope_scaling", with "rope_theta" beside it.
struct RopeConfig {
  formats::JsonFields scaling;  // may be empty
  std::string type;             // "", "default", "linear", "yarn", "llama3", "longrope", ...
  double theta = 0.0;           // 0: not given
  double local_theta = 0.0;     // of sliding-window layers; 0: not given
};
Result<RopeConfig> rope_config(const HfConfig& config);

// "rope_freqs.weight" for rope type "llama3" (https://arxiv.org/abs/2407.21783): the divisor of
// each frequency.
Status add_llama3_rope_factors(const ImportContext& context, std::vector<TensorPlan>& plans);

// A tensor of one row of computed values.
TensorPlan computed_tensor(std::string_view name, std::vector<float> values);

}  // namespace ruvllm::model
