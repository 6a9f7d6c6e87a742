#include "adapters/head/features.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/core/check.h"
#include "tensor/blocks.h"

namespace ruvllm::adapters {

HeadFeatures::HeadFeatures(std::vector<float> mean)
    : mean_(std::move(mean)), padded_dim_((hidden_dim() + kBlock32 - 1) / kBlock32 * kBlock32) {}

bool HeadFeatures::unit(std::span<const float> hidden, std::span<float> unit) const {
  RUVLLM_CHECK(hidden.size() == mean_.size() && unit.size() == static_cast<size_t>(padded_dim_));
  double squares = 0;
  for (size_t i = 0; i < hidden.size(); ++i) {
    unit[i] = hidden[i] - mean_[i];
    squares += static_cast<double>(unit[i]) * static_cast<double>(unit[i]);
  }
  std::fill(unit.begin() + static_cast<ptrdiff_t>(hidden.size()), unit.end(), 0.0f);
  if (!std::isfinite(squares) || squares == 0.0) {
    std::fill(unit.begin(), unit.end(), 0.0f);
    return false;
  }
  const double scale = 1.0 / std::sqrt(squares);
  for (size_t i = 0; i < hidden.size(); ++i) {
    unit[i] = static_cast<float>(static_cast<double>(unit[i]) * scale);
  }
  return true;
}

}  // namespace ruvllm::adapters
