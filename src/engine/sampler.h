// Chooses the next token of one sequence (parameters: ruvllm/sampling.h).
//
// Plain functions over a row of logits; the workspace is shared by all sequences of a step loop and
// holds what would otherwise be allocated for each token. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "events/token_event.h"
#include "kernels/cpu/elementwise.h"
#include <ruvllm/sampling.h>

namespace ruvllm::engine {

// Every number in range and finite, ids below vocab_size. kInvalidArgument names the field.
Status check_sampling(const SamplingParams& params, int32_t vocab_size);

class Sampler {
 public:
  Sampler(const kernels::ElementwiseKernels& kernels, int32_t vocab_size);

  // `logits` [vocab_size] is changed by biases and penalties. `history`: all tokens so far.
  // `draw`: which random number of the seed to use; the position of the token to come.
  // false: the logits are not finite, event is left alone.
  bool sample(const SamplingParams& params, uint64_t seed, uint64_t draw,
              std::span<const int32_t> history, float* logits, events::TokenEvent& event);

  // The token alone, as sample() would choose it. false: the logits are not finite.
  bool draw(const SamplingParams& params, uint64_t seed, uint64_t draw,
            std::span<const int32_t> history, float* logits, int32_t& id);

  // NaN if the logits are not finite; on any thread.
  double log_sum_exp(const float* logits) const;
  // Natural log of the probability of `token`; NaN if the logits are not finite.
  double log_probability(const float* logits, int32_t token) const {
    return static_cast<double>(logits[token]) - log_sum_exp(logits);
  }

  // The most probable tokens, likeliest first, as many as `ids` holds; returns their number.
  size_t top_tokens(const float* logits, std::span<int32_t> ids);

 private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  bool all_finite(const float* logits) const;
  // Of finite logits.
  int32_t choose(const SamplingParams& params, uint64_t seed, uint64_t draw,
                 std::span<const int32_t> history, float* logits);
  int32_t arg_max(const float* logits) const;
  void record_logprobs(int32_t num_logprobs, const float* logits, events::TokenEvent& event);
  void apply_penalties(const SamplingParams& params, std::span<const int32_t> history,
                       float* logits);
  // The `count` highest logits into candidates_, highest first; ties: lower id first.
  void select_top(const float* logits, int32_t count);
  size_t truncate(const SamplingParams& params, const float* logits);
  int32_t draw_token(const SamplingParams& params, double uniform, size_t count) const;

  const kernels::ElementwiseKernels& kernels_;
  int32_t vocab_size_;
  std::vector<Candidate> candidates_;
  std::vector<int32_t> counts_;     // [vocab_size]: occurrences in the recent history, zero at rest
  std::vector<float> unpenalized_;  // [vocab_size]: the model's own logits, for log-probabilities
};

}  // namespace ruvllm::engine
