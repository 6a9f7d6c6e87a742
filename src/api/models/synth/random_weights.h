// Weights of about normal distribution in every tensor type, made as fast as memory is copied.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/numeric/random_stream.h"
#include "tensor/dtype.h"

namespace ruvllm::api {

// Encoding each weight would take minutes for the k-quants. So a pool of encoded runs of 256
// weights is made per type at its first use, and data are runs drawn from it: legal blocks in an
// order that no compressor with a window below the pool's size can shorten. The same seed and calls
// give the same bytes on every machine. Not thread-safe.
class RandomWeights {
 public:
  static constexpr size_t kRunElements = 256;  // a whole number of blocks of every type
  static constexpr float kStandardDeviation = 0.02f;

  explicit RandomWeights(uint64_t seed) : values_(seed), order_(~seed) {}

  // `out` holds whole blocks of `dtype`. A run that does not fit at the end is cut.
  void fill(DType dtype, std::span<std::byte> out);

  static size_t run_bytes(DType dtype);

 private:
  const std::vector<std::byte>& pool(DType dtype);

  RandomStream values_;  // of the pools
  RandomStream order_;   // which run comes next
  uint64_t num_drawn_ = 0;
  std::array<std::vector<std::byte>, kNumDTypes> pools_;  // empty until first used
};

}  // namespace ruvllm::api
