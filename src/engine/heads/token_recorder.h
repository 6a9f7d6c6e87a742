// Writes the tokens of sequences into their traces. Engine thread only; allocates when it is made
// and never again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampler.h"
#include "engine/sequence.h"
#include "events/trace.h"

namespace ruvllm::engine {

class TokenRecorder {
 public:
  // The sampler outlives it.
  TokenRecorder(Sampler& sampler, int32_t vocab_size);

  // Takes what must be known of the base's logits before a head, biases and penalties change them.
  void keep(std::span<const float> logits);
  // Then, for the same row: the token at `position` is `target`.
  void record(const Sequence& sequence, std::span<const float> hidden, double log_sum_exp,
              int32_t position, int32_t target) {
    record(sequence, hidden, kept_, log_sum_exp, position, target);
  }

  // A row whose logits are as they were: keep() is not needed.
  void record(const Sequence& sequence, std::span<const float> hidden,
              std::span<const float> logits, double log_sum_exp, int32_t position, int32_t target);

 private:
  Sampler& sampler_;
  std::vector<float> kept_;          // [vocab_size]
  std::vector<int32_t> top_tokens_;  // [vocab_size]: as many as a trace asks for
};

}  // namespace ruvllm::engine
