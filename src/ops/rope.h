// Angles of the rotary embedding (https://arxiv.org/abs/2104.09864).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ruvllm::ops {

// YaRN (https://arxiv.org/abs/2309.00071): only dimensions that turn less than beta_slow times
// within the original context get the full linear scale, those that turn more than beta_fast times
// none, and a ramp lies between them. The paper's code and llama.cpp round the ramp's ends; gpt-oss
// does not.
struct YarnConfig {
  double original_context = 0.0;  // tokens
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  double extrapolation = 1.0;  // share of the ramp that counts
  bool whole_ends = true;      // the ramp's ends are rounded outwards to whole pairs
};

struct RopeConfig {
  int32_t rope_dim = 0;  // rotated dimensions of a head, even
  double base = 10000.0;
  double linear_scale = 1.0;  // positions are divided by it
  double magnitude = 1.0;     // of the rotated vectors: cos and sin are multiplied by it
  std::optional<YarnConfig> yarn = std::nullopt;
  // [rope_dim / 2] or empty: frequencies are divided by them (Llama 3.1, LongRoPE).
  std::vector<float> factors = {};
};

// Llama 3.1's scaling (https://arxiv.org/abs/2407.21783): pairs that turn less than low_frequency
// times within the original context are slowed down by `factor`, those that turn more than
// high_frequency times not at all, and the rest in between.
struct Llama3Scaling {
  double factor = 8.0;
  double low_frequency = 1.0;
  double high_frequency = 4.0;       // more than low_frequency
  double original_context = 8192.0;  // tokens
};

// RopeConfig::factors for it, [rope_dim / 2]; in float throughout, as Meta's code computes them.
std::vector<float> llama3_factors(const Llama3Scaling& scaling, uint32_t rope_dim, double base);

// Immutable; thread-safe.
class RopeAngles {
 public:
  explicit RopeAngles(const RopeConfig& config);

  // magnitude * cos and sin of position * frequency, [rope_dim / 2] each; computed in double.
  void fill(int32_t position, float* cos, float* sin) const;

 private:
  std::vector<double> frequencies_;
  double magnitude_;
};

}  // namespace ruvllm::ops
