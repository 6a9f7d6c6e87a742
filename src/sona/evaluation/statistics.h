// Summaries of paired differences.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ruvllm::sona {

struct Interval {
  double mean = 0;
  double low = 0, high = 0;  // 95 per cent
};

double mean_of(std::span<const double> values);

// The mean of values, one a stream, and the percentiles of the means of resampled streams. With
// fewer than two values low and high are the mean.
Interval bootstrap_interval(std::span<const double> values, uint64_t seed = 1,
                            int32_t num_resamples = 2000);

// Means of blocks of `block` values; a rest is left out.
std::vector<double> block_means(std::span<const double> values, size_t block);

// How many values have passed at the end of the first block whose mean is at least half of the mean
// of the last quarter of the blocks, where that is negative: the time to half the gain.
std::optional<int64_t> values_to_half(std::span<const double> blocks, size_t block);

}  // namespace ruvllm::sona
