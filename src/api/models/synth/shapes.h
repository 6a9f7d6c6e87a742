// Dimensions of published models, and their description as GGUF metadata.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/core/error.h"
#include "formats/gguf/gguf_writer.h"
#include "model/arch/architecture.h"

namespace ruvllm::api {

struct SynthShape {
  std::string_view name;
  std::string_view architecture;  // a name that model::architecture_of_name knows
  uint32_t num_layers;
  uint32_t hidden_dim;
  uint32_t num_heads;
  uint32_t num_kv_heads;
  uint32_t head_dim;
  uint32_t ffn_dim;
  uint32_t vocab_size;
  uint32_t context_length;  // tokens
  float rope_base;
  float norm_epsilon;
  bool tied;                 // the token embedding is the output matrix too
  float llama3_rope_factor;  // stretch of Llama 3's long wavelengths; 0: rotary frequencies as is
  uint32_t window = 0;       // tokens; this and what follows is left out of the file where it is 0
  float local_rope_base = 0.0f;
  float attention_scale = 0.0f;
  float embedding_scale = 0.0f;
  float residual_scale = 0.0f;
  float logit_scale = 0.0f;

  const model::Architecture& family() const;
};

std::span<const SynthShape> all_synth_shapes();

// kNotFound lists the known names.
Result<const SynthShape*> find_synth_shape(std::string_view name);

// "general.*" and "<architecture>.*" as llama.cpp's converter writes them. `file_type` is
// llama.cpp's number of the mixture.
void add_shape_metadata(formats::GgufWriter& writer, const SynthShape& shape, uint32_t file_type);

}  // namespace ruvllm::api
