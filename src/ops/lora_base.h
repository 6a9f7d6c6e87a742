// The shape of a model as low-rank additions to its products see it: what an adapter must fit.
#pragma once

#include <cstdint>
#include <string>

#include "ops/lora.h"

namespace ruvllm::ops {

struct LoraBase {
  std::string architecture;  // as GGUF names it
  int32_t num_layers = 0;
  int32_t hidden_dim = 0;
  int32_t ffn_dim = 0;
  int32_t num_heads = 0;
  int32_t num_kv_heads = 0;
  int32_t head_dim = 0;
  // Rows of q and k lie in the interleaved order of llama files: adapters in Hugging Face's order
  // are permuted when they are read.
  bool interleaved_rope = false;
  bool has_experts = false;  // in place of gate, up and down, which adapters then cannot add to

  int32_t in_dim(LoraTarget target) const {
    switch (target) {
      case LoraTarget::kAttnOutput:
        return num_heads * head_dim;
      case LoraTarget::kDown:
        return ffn_dim;
      default:
        return hidden_dim;
    }
  }
  int32_t out_dim(LoraTarget target) const {
    switch (target) {
      case LoraTarget::kQ:
        return num_heads * head_dim;
      case LoraTarget::kK:
      case LoraTarget::kV:
        return num_kv_heads * head_dim;
      case LoraTarget::kGate:
      case LoraTarget::kUp:
        return ffn_dim;
      default:
        return hidden_dim;
    }
  }
};

}  // namespace ruvllm::ops
