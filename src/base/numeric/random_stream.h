// Counter-based random numbers: a value depends on (seed, counter) alone, so a draw can be repeated
// without replaying the ones before it. SplitMix64's finalizer (Steele et al. 2014) over both
// words.
#pragma once

#include <cstdint>

namespace ruvllm {

class RandomStream {
 public:
  explicit RandomStream(uint64_t seed) : seed_(mix(seed + kGamma)) {}

  uint64_t bits(uint64_t counter) const { return mix(seed_ ^ mix(counter * kGamma + kGamma)); }
  // Uniform in [0, 1), 53 bits.
  double uniform(uint64_t counter) const {
    return static_cast<double>(bits(counter) >> 11) * 0x1.0p-53;
  }

 private:
  static constexpr uint64_t kGamma = 0x9e3779b97f4a7c15u;
  static constexpr uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t seed_;
};

}  // namespace ruvllm
