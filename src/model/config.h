// The shape of a model: one flat struct that drives the one decoder block.
#pragma once

#include <cstdint>
#include <string>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"
#include "model/arch/architecture.h"

namespace ruvllm::model {

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
  double rope_base = 10000.0;
  double rope_linear_scale = 1.0;

  int32_t q_dim() const { return num_heads * head_dim; }
  int32_t kv_dim() const { return num_kv_heads * head_dim; }
};

// Reads and checks the keys that all architectures share, "<architecture>.<key>". Errors name the
// key.
Result<ModelConfig> read_config(const formats::GgufFile& file, const Architecture& architecture);

}  // namespace ruvllm::model
