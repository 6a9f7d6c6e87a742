// Confidence intervals of paired differences by the bootstrap (Efron 1979): whole samples are drawn
// again, never single tokens, for tokens of one sample are not independent.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace ruvllm::sona {

// Of one sample: the sum of its tokens' differences, and of their weights.
struct PairedDifference {
  double sum = 0.0;
  double weight = 0.0;
};

// (sum of sums) / (sum of weights), a difference for each unit of weight, with its interval.
struct MeasuredDifference {
  double mean = 0.0;
  double low = 0.0, high = 0.0;  // 95 %: percentiles of the means over samples drawn again
  int64_t num_samples = 0;
  double weight = 0.0;
};

// nullopt for fewer than two samples, or without weight: nothing can be said. A function of its
// arguments.
std::optional<MeasuredDifference> paired_bootstrap(std::span<const PairedDifference> samples,
                                                   uint64_t seed, int32_t num_draws = 2000);

}  // namespace ruvllm::sona
