#include "adapters/head/hidden_space/hidden_space.h"

#include <cmath>
#include <cstddef>

#include "adapters/head/features.h"
#include "base/core/check.h"

namespace ruvllm::adapters {
namespace {

// In eight sums, which compilers turn into vectors.
float dot(std::span<const float> a, std::span<const float> b) {
  constexpr size_t kLanes = 8;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= b.size(); i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) sums[l] += a[i + l] * b[i + l];
  }
  for (; i < b.size(); ++i) sums[0] += a[i] * b[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace

void hidden_features(const HiddenSpaceAdapter& adapter, std::span<const float> unit,
                     std::span<float> features) {
  const size_t width = unit.size() + 1;
  RUVLLM_DCHECK(features.size() == static_cast<size_t>(adapter.rank) &&
                adapter.down.size() == features.size() * width);
  double squares = 0;
  for (size_t k = 0; k < features.size(); ++k) {
    const std::span<const float> row = std::span(adapter.down).subspan(k * width, width);
    features[k] = dot(row, unit) + row[width - 1] * HeadFeatures::kBias;
    squares += static_cast<double>(features[k]) * static_cast<double>(features[k]);
  }
  const float scale = squares > 0 ? static_cast<float>(1.0 / std::sqrt(squares)) : 0.0f;
  for (float& feature : features) feature *= scale;
}

void apply_hidden_space(const HiddenSpaceAdapter& adapter, std::span<const float> features,
                        std::span<float> hidden) {
  RUVLLM_DCHECK(adapter.up.size() == features.size() * hidden.size());
  for (size_t k = 0; k < features.size(); ++k) {
    const float* row = adapter.up.data() + k * hidden.size();
    for (size_t i = 0; i < hidden.size(); ++i) hidden[i] += features[k] * row[i];
  }
}

}  // namespace ruvllm::adapters
