// Merged adapters: the model's own weights with the low-rank additions worked in.
#pragma once

#include <cstdint>

#include "adapters/adapter.h"
#include "ops/lora.h"

namespace ruvllm::adapters {

// row += sum over the set of scale * B[row_idx, :] A, for row `row_idx` of the target's weight;
// row: [in_dim]. Thread-safe.
void add_to_weight_row(const ops::LoraView& set, int32_t layer_idx, ops::LoraTarget target,
                       int32_t row_idx, int32_t in_dim, float* row);

}  // namespace ruvllm::adapters
