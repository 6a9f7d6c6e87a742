#include "sona/evaluation/statistics.h"

#include <numeric>

#include "sona/statistics/paired_bootstrap.h"

namespace ruvllm::sona {

double mean_of(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Interval bootstrap_interval(std::span<const double> values, uint64_t seed, int32_t num_resamples) {
  std::vector<PairedDifference> samples;
  for (const double value : values) samples.push_back({.sum = value, .weight = 1});
  if (const auto measured = paired_bootstrap(samples, seed, num_resamples)) {
    return {measured->mean, measured->low, measured->high};
  }
  const double mean = mean_of(values);
  return {mean, mean, mean};
}

std::vector<double> block_means(std::span<const double> values, size_t block) {
  std::vector<double> means;
  for (size_t begin = 0; begin + block <= values.size(); begin += block) {
    means.push_back(mean_of(values.subspan(begin, block)));
  }
  return means;
}

std::optional<int64_t> values_to_half(std::span<const double> blocks, size_t block) {
  if (blocks.size() < 4) return std::nullopt;
  const double final_mean = mean_of(blocks.last(blocks.size() / 4));
  if (final_mean >= 0) return std::nullopt;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i] <= final_mean / 2) return static_cast<int64_t>((i + 1) * block);
  }
  return std::nullopt;
}

}  // namespace ruvllm::sona
