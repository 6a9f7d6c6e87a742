// What an error in each element costs, for the searches of the encoders.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/numeric/half.h"
#include "tensor/codec_blocks.h"

namespace ruvllm::codec {

// Weights without importance. Plain least squares (all alike) has the least error but loses more in
// a model than weights that grow with the value (docs/quantization.md). kRmsShare is 0.5 because
// that lost least over the beginnings of five texts, beside 1 and other forms.
inline constexpr float kRmsShare = 0.5f;

enum class PlainWeights {
  kLinear,   // kRmsShare * root mean square + |x|
  kSquares,  // x * x
};

// A block brought to magnitudes of 1 by a power of two, so that sums of squares neither overflow
// nor vanish, with a weight for each element.
template <int kCount>
struct WeightedBlock {
  alignas(16) float x[static_cast<size_t>(kCount)];  // source = x * 2^exponent
  alignas(16) float w[static_cast<size_t>(kCount)];
  int exponent = 0;

  // `importance`: of each column, >= 0 and finite, or nullptr. False if all values are zero.
  bool load(const float* src, const float* importance, PlainWeights plain);

  // A factor as a block stores it: in units of the source.
  float value_of(F16Bits bits) const { return std::ldexp(f16_to_f32(bits), -exponent); }
  F16Bits bits_of(float value) const {
    return saturating_f16(std::ldexp(static_cast<double>(value), exponent));
  }

 private:
  void weigh(const float* importance, float most_important, PlainWeights plain);
};

template <int kCount>
bool WeightedBlock<kCount>::load(const float* src, const float* importance, PlainWeights plain) {
  float largest = 0;
  for (int i = 0; i < kCount; ++i) largest = std::max(largest, std::abs(src[i]));
  if (largest == 0) return false;
  exponent = std::ilogb(largest);
  const double to_one = std::ldexp(1.0, -exponent);
  for (int i = 0; i < kCount; ++i) {
    x[i] = static_cast<float>(static_cast<double>(src[i]) * to_one);
  }
  const float most_important =
      importance != nullptr ? *std::max_element(importance, importance + kCount) : 0.0f;
  weigh(importance, most_important, plain);
  return true;
}

template <int kCount>
void WeightedBlock<kCount>::weigh(const float* importance, float most_important,
                                  PlainWeights plain) {
  float mean_square = 0;
  for (int i = 0; i < kCount; ++i) mean_square += x[i] * x[i] / kCount;
  if (most_important > 0) {
    // Columns that were never used still count a little: other texts may use them.
    constexpr float kLeastImportance = 1e-5f;
    for (int i = 0; i < kCount; ++i) {
      const float share = std::max(importance[i] / most_important, kLeastImportance);
      w[i] = share * std::sqrt(2 * mean_square + x[i] * x[i]);
    }
  } else if (plain == PlainWeights::kSquares) {
    constexpr float kLeastWeight = 1e-12f;
    for (int i = 0; i < kCount; ++i) w[i] = std::max(x[i] * x[i], kLeastWeight);
  } else {
    const float rms = std::sqrt(mean_square);
    for (int i = 0; i < kCount; ++i) w[i] = kRmsShare * rms + std::abs(x[i]);
  }
}

}  // namespace ruvllm::codec
