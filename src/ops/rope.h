// Angles of the rotary embedding (https://arxiv.org/abs/2104.09864).
#pragma once

#include <cstdint>
#include <vector>

namespace ruvllm::ops {

struct RopeConfig {
  int32_t rope_dim = 0;  // rotated dimensions of a head, even
  double base = 10000.0;
  double linear_scale = 1.0;  // positions are divided by it
  std::vector<float>
      factors;  // [rope_dim / 2] or empty: frequencies are divided by them (Llama 3.1)
};

// Immutable; thread-safe.
class RopeAngles {
 public:
  explicit RopeAngles(const RopeConfig& config);

  // cos and sin of position * frequency, [rope_dim / 2] each; computed in double.
  void fill(int32_t position, float* cos, float* sin) const;

 private:
  std::vector<double> frequencies_;
};

}  // namespace ruvllm::ops
