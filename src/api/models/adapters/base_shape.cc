#include "api/models/adapters/base_shape.h"

namespace ruvllm::api {

adapters::BaseShape base_shape(const model::ModelConfig& config) {
  adapters::BaseShape base;
  base.architecture = config.architecture;
  base.num_layers = config.num_layers;
  base.hidden_dim = config.hidden_dim;
  base.ffn_dim = config.ffn_dim;
  base.num_heads = config.num_heads;
  base.num_kv_heads = config.num_kv_heads;
  base.head_dim = config.head_dim;
  base.interleaved_rope = config.rope_style == model::RopeStyle::kInterleaved;
  base.has_experts = config.experts.has_value();
  return base;
}

}  // namespace ruvllm::api
