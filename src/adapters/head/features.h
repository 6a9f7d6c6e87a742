// The feature of a position that everything learned at the head reads: phi(h) = [0.5, u(h)],
// u(h) = (h - mean) / |h - mean|, h the final hidden state after the last norm and mean its average
// over ordinary text.
//
// Immutable; shared by all generations of a model's head adapters.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::adapters {

class HeadFeatures {
 public:
  static constexpr float kBias = 0.5f;
  // |phi|^2 = kBias^2 + 1.
  static constexpr double kSquaredNorm = 1.25;

  explicit HeadFeatures(std::vector<float> mean);

  int32_t hidden_dim() const { return static_cast<int32_t>(mean_.size()); }
  // hidden_dim in whole blocks of Q8_0: rows are padded with zeros.
  int32_t padded_dim() const { return padded_dim_; }
  std::span<const float> mean() const { return mean_; }

  // u(h) and zeros into unit [padded_dim]. false, and all zeros, where h holds something that is
  // not finite or equals the mean.
  bool unit(std::span<const float> hidden, std::span<float> unit) const;

 private:
  std::vector<float> mean_;
  int32_t padded_dim_;
};

}  // namespace ruvllm::adapters
