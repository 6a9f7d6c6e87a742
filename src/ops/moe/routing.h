// Which experts a row goes through, and how much each counts.
#pragma once

#include <cstdint>

namespace ruvllm::ops {

enum class ExpertGating : uint8_t {
  kSoftmax,          // over all experts (https://arxiv.org/abs/2401.04088, before normalisation)
  kSigmoid,          // of each expert alone (https://arxiv.org/abs/2412.19437)
  kSoftmaxOfChosen,  // over the chosen ones (gpt-oss)
};

struct ExpertRouting {
  ExpertGating gating = ExpertGating::kSoftmax;
  int32_t num_experts = 0;
  int32_t num_used = 0;    // 1 .. num_experts
  bool normalize = false;  // the weights of the chosen ones add up to 1
  float scale = 1.0f;      // of the weights, after that
};

// The num_used experts with the largest logits, largest first and of equal ones the first, and
// their weights. NaN counts as the smallest logit, so that there are always num_used different
// experts; weights are NaN then. Depends on this row's logits [num_experts] alone.
void choose_experts(const ExpertRouting& routing, const float* logits, int32_t* experts,
                    float* weights) noexcept;

}  // namespace ruvllm::ops
