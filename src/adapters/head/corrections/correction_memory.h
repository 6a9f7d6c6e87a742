// What a user has corrected: the states after which another token should have come, and that token.
//
// It speaks where the query is nearly a state that was taught and is silent elsewhere:
//   p(i) = g q(i) + (1 - g) p_m(i), q the softmax of sharpness x similarity over the taught states
// that speak, g the gate, p_m what the experts of the head adapter say without it. So it may be
// trusted almost fully (ExpertWeights::trust), and never pays for being silent.
//
// Immutable and shared by the generations between two corrections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/blocks.h"

namespace ruvllm::adapters {

struct CorrectionMemory {
  // What is left to the others where a state is certain.
  static constexpr float kMaxGate = 0.999f;
  // Of the way from a state's threshold to 1, where its gate is fully open.
  static constexpr float kRamp = 0.5f;

  std::vector<BlockQ8_0> rows;    // [num_states, padded_dim / 32]: u(h)
  std::vector<int32_t> targets;   // [num_states]
  std::vector<float> thresholds;  // [num_states]: cosine from which a state speaks, below 1
  float sharpness = 60;

  size_t num_states() const { return targets.size(); }
};

// g for one state: 0 up to its threshold, then smoothly up to kMaxGate.
float correction_gate(float similarity, float threshold);

}  // namespace ruvllm::adapters
