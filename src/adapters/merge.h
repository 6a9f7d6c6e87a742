// Merged adapters: the model's own weights with the low-rank additions worked in.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "adapters/adapter.h"
#include "ops/lora.h"

namespace ruvllm::adapters {

// What a set adds to one product of one layer, in float; the set's scales are in theirs.
std::vector<Adapter::Matrices> additions(const AdapterSet& set, int32_t layer_idx,
                                         ops::LoraTarget target);

// row += sum over `additions` of scale * B[row_idx, :] A; row: [in_dim]. Thread-safe.
void add_to_weight_row(std::span<const Adapter::Matrices> additions, int32_t row_idx,
                       int32_t in_dim, float* row);

}  // namespace ruvllm::adapters
