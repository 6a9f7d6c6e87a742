// Elastic weight consolidation of LoRA parameters (https://arxiv.org/abs/1612.00796), online over
// many tasks (https://arxiv.org/abs/1805.06370).
//
// Parameters t are held near those at the last task's end, t*, by the penalty
// lambda / 2 * sum_i F_i (t_i - t*_i)^2 with F the diagonal of the Fisher information, from the
// model's own distribution and not from labels (https://arxiv.org/abs/1412.1193). The penalty
// enters as a proximal step behind the optimizer's,
//   t <- (t + r lambda F t*) / (1 + r lambda F),   r the parameter's own step size,
// which no lambda can make unstable.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "sona/deep/pass/example.h"
#include "sona/deep/pass/lora_parameters.h"
#include "sona/deep/pass/training_pass.h"

namespace ruvllm::sona {

struct FisherOptions {
  int32_t max_examples = 64;  // the first ones
  uint64_t seed = 1;          // of the targets that are drawn
};

// The diagonal at `parameters`, a mean over the tokens that the examples weigh: the penalty is, to
// second order and but for what lies off the diagonal, lambda times the divergence from the model
// at t* on their text in nats a token, so lambda means the same for any amount of text. In an
// example every token's target is drawn on its own, given the example's tokens, so gradients of
// different tokens have no expected product and the square of their sum is, on average, the sum of
// their squares: one backward pass an example. kInvalidArgument without examples, or if no gradient
// differs from 0.
Result<std::vector<float>> estimate_fisher(TrainingPass& pass, const LoraParameters& parameters,
                                           std::span<const TrainingExample> examples,
                                           const FisherOptions& options);

// Immutable but for end_task(); thread-safe to read.
class LoraConsolidation {
 public:
  LoraConsolidation() = default;
  // What fisher() and anchor() gave; kInvalidArgument for sizes that differ and values that are not
  // finite or, of the Fisher, negative.
  static Result<LoraConsolidation> restore(std::vector<float> fisher, std::vector<float> anchor);

  // F <- decay * F + task_fisher, t* <- weights. Decay in [0, 1].
  Status end_task(std::span<const float> task_fisher, std::span<const float> weights, double decay);

  // The proximal step with step sizes `rates`, [parameters]. lambda 0 changes no bit, infinity puts
  // back what F holds. Without a task it changes nothing.
  void hold(double lambda, std::span<const float> rates, std::span<float> parameters) const;

  bool empty() const { return fisher_.empty(); }
  std::span<const float> fisher() const { return fisher_; }
  std::span<const float> anchor() const { return anchor_; }

 private:
  std::vector<float> fisher_, anchor_;
};

}  // namespace ruvllm::sona
