// What an error in each element costs, for the searches of the encoders.
#pragma once

#include <algorithm>
#include <cmath>

namespace ruvllm::codec {

// A block brought to magnitudes of 1 by a power of two, so that sums of squares neither overflow
// nor vanish, with a weight for each element.
template <int kCount>
struct WeightedBlock {
  alignas(16) float x[kCount];  // source = x * 2^exponent
  alignas(16) float w[kCount];
  int exponent = 0;

  // `importance`: of each column, >= 0 and finite, or nullptr. False if all values are zero.
  bool load(const float* src, const float* importance);
};

template <int kCount>
bool WeightedBlock<kCount>::load(const float* src, const float* importance) {
  float largest = 0;
  for (int i = 0; i < kCount; ++i) largest = std::max(largest, std::abs(src[i]));
  if (largest == 0) return false;
  exponent = std::ilogb(largest);
  const double to_one = std::ldexp(1.0, -exponent);
  for (int i = 0; i < kCount; ++i) {
    x[i] = static_cast<float>(static_cast<double>(src[i]) * to_one);
  }
  float most_important = 0;
  if (importance != nullptr) {
    most_important = *std::max_element(importance, importance + kCount);
  }
  // Columns that were never used still count a little: other texts may use them.
  constexpr float kLeastImportance = 1e-5f;
  for (int i = 0; i < kCount; ++i) {
    w[i] = most_important > 0 ? std::max(importance[i] / most_important, kLeastImportance) : 1.0f;
  }
  return true;
}

}  // namespace ruvllm::codec
