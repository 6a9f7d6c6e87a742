// Inverted lists over states: k-means on the sphere.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "adapters/head/memory.h"
#include "kernels/cpu/kernel_table.h"

namespace ruvllm::sona {

// States on their way into lists.
struct MemoryStates {
  std::vector<BlockQ8_0> rows;  // [num_states, padded_dim / 32], unit vectors
  std::vector<int32_t> targets;
  std::vector<float> masses;  // empty: all 1

  void append(const MemoryStates& states);
};

// States to a list, on average.
inline constexpr int32_t kStatesPerList = 128;

// At least one state. Deterministic. Centroids are the means of their lists; lists may be empty.
std::shared_ptr<const adapters::MemorySegment> build_lists(const kernels::KernelTable& kernels,
                                                           int32_t padded_dim, MemoryStates states);

}  // namespace ruvllm::sona
