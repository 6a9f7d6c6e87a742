#include "sona/statistics/paired_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {

std::optional<MeasuredDifference> paired_bootstrap(std::span<const PairedDifference> samples,
                                                   uint64_t seed, int32_t num_draws) {
  const size_t count = samples.size();
  double sum = 0.0, weight = 0.0;
  for (const PairedDifference& sample : samples) {
    sum += sample.sum;
    weight += sample.weight;
  }
  if (count < 2 || num_draws < 1 || !(weight > 0.0) || !std::isfinite(sum)) return std::nullopt;
  const RandomStream random(seed);
  std::vector<double> means;
  uint64_t counter = 0;
  for (int32_t draw = 0; draw < num_draws; ++draw) {
    double drawn_sum = 0.0, drawn_weight = 0.0;
    for (size_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(random.uniform(counter++) * static_cast<double>(count));
      const PairedDifference& sample = samples[std::min(at, count - 1)];
      drawn_sum += sample.sum;
      drawn_weight += sample.weight;
    }
    // Without weight it says nothing, like a difference of zero.
    means.push_back(drawn_weight > 0.0 ? drawn_sum / drawn_weight : 0.0);
  }
  std::ranges::sort(means);
  const auto at_share = [&](double share) {
    return means[static_cast<size_t>(std::lround(share * static_cast<double>(num_draws - 1)))];
  };
  return MeasuredDifference{.mean = sum / weight,
                            .low = at_share(0.025),
                            .high = at_share(0.975),
                            .num_samples = static_cast<int64_t>(count),
                            .weight = weight};
}

}  // namespace ruvllm::sona
