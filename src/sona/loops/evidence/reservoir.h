// A uniform sample of all that was offered (Vitter 1985, algorithm R), in whole samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/numeric/random_stream.h"
#include "sona/loops/evidence/sample.h"

namespace ruvllm::sona {

// Copies share the samples. Deterministic.
class Reservoir {
 public:
  Reservoir(size_t max_samples, uint64_t seed) : max_samples_(max_samples), random_(seed) {}

  void offer(SharedSample sample);
  std::span<const SharedSample> samples() const { return samples_; }
  int64_t num_offered() const { return num_offered_; }
  int64_t num_tokens() const;

 private:
  size_t max_samples_;
  RandomStream random_;
  int64_t num_offered_ = 0;
  std::vector<SharedSample> samples_;
};

}  // namespace ruvllm::sona
