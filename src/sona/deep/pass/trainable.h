// Which models the deep loop can train adapters for.
#pragma once

#include "base/core/error.h"
#include "model/model.h"

namespace ruvllm::sona {

// Decoders of RMS norms before each block, rotary positions of either kind or none, grouped-query
// causal attention with or without windows, biases and norms of each head's q and k, SwiGLU, and
// any output matrix: the families of llama, qwen2 and qwen3. kUnsupported names the family and what
// of it has no gradient here.
Status check_trainable(const model::Model& model);

}  // namespace ruvllm::sona
