#include "ops/moe/routing.h"

#include <cmath>
#include <limits>

namespace ruvllm::ops {
namespace {

float key_of(float logit) {
  return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit;
}

// The best expert after `previous` in the order of falling logits and rising index; -1: of all.
int32_t next_expert(const float* logits, int32_t num_experts, int32_t previous) {
  int32_t best = -1;
  for (int32_t i = 0; i < num_experts; ++i) {
    const float key = key_of(logits[i]);
    if (previous >= 0) {
      const float last = key_of(logits[previous]);
      if (key > last || (key == last && i <= previous)) continue;
    }
    if (best < 0 || key > key_of(logits[best])) best = i;
  }
  return best;
}

// What the exponentials of the chosen logits are divided by.
double softmax_denominator(const ExpertRouting& routing, const float* logits,
                           const int32_t* experts, double max) {
  double sum = 0.0;
  if (routing.gating == ExpertGating::kSoftmax) {
    for (int32_t i = 0; i < routing.num_experts; ++i) sum += std::exp(logits[i] - max);
  } else {
    for (int32_t j = 0; j < routing.num_used; ++j) sum += std::exp(logits[experts[j]] - max);
  }
  return sum;
}

}  // namespace

void choose_experts(const ExpertRouting& routing, const float* logits, int32_t* experts,
                    float* weights) noexcept {
  int32_t previous = -1;
  for (int32_t j = 0; j < routing.num_used; ++j) {
    previous = next_expert(logits, routing.num_experts, previous);
    experts[j] = previous;
  }
  const bool sigmoid = routing.gating == ExpertGating::kSigmoid;
  const double max = sigmoid ? 0.0 : logits[experts[0]];
  const double denominator = sigmoid ? 1.0 : softmax_denominator(routing, logits, experts, max);
  const auto probability = [&](int32_t expert) {
    const double logit = logits[expert];
    return sigmoid ? 1.0 / (1.0 + std::exp(-logit)) : std::exp(logit - max) / denominator;
  };
  double sum = 0.0;
  for (int32_t j = 0; j < routing.num_used; ++j) sum += probability(experts[j]);
  // All experts' sigmoids can be nothing in float; then none counts.
  constexpr double kSmallestSum = 1e-20;
  const double factor =
      routing.normalize ? routing.scale / (sum < kSmallestSum ? kSmallestSum : sum) : routing.scale;
  for (int32_t j = 0; j < routing.num_used; ++j) {
    weights[j] = static_cast<float>(probability(experts[j]) * factor);
  }
}

}  // namespace ruvllm::ops
