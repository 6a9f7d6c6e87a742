// A head adapter at work in one sequence: the mixture's logits for the rows that are drawn from,
// and the trust in each expert, which every known token moves.
//
// Before the first token is drawn the prompt's last tokens settle the weights. They are functions
// of the adapter and the sequence's tokens alone, whatever the batch, chunks or preemption.
// Allocates when it is made and never again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "adapters/head/evaluator.h"
#include "adapters/head/expert_weights.h"
#include "adapters/head/head_adapter.h"
#include "base/core/error.h"
#include "kernels/cpu/kernel_table.h"
#include "model/config.h"

namespace ruvllm::engine {

// Whether an adapter fits a model and its parts fit each other. The targets of its memory, of which
// there may be many, are not looked at: whoever made or read it has checked them.
Status check_head(const adapters::HeadAdapter& adapter, const model::ModelConfig& config);

// Whether there is an expert beside the base.
bool changes_logits(const adapters::HeadAdapter& adapter);

class SequenceHead {
 public:
  // Rows [first_hedged, end_hedged) of the prompt settle the weights, each by the token after it.
  SequenceHead(std::shared_ptr<const adapters::HeadAdapter> adapter,
               const kernels::KernelTable& kernels, int32_t hidden_dim, int32_t first_hedged,
               int32_t end_hedged);

  const adapters::HeadAdapter& adapter() const { return *adapter_; }
  // How much each expert is trusted now; the rest of `weights` stays.
  void weights_into(std::span<double> weights) const;

  // One row: what each expert makes of it. On any one thread; several sequences' at once.
  void evaluate(std::span<const float> hidden, std::span<const float> logits, double log_sum_exp);
  // It was evaluated and its token is not known yet.
  bool is_evaluated() const { return is_evaluated_; }
  // The base's, of the row that was evaluated.
  double log_sum_exp() const { return log_sum_exp_; }
  // Turns the row's logits into the mixture's.
  void adjust(std::span<float> logits) const;
  // The row's token is known. Returns log(p_mixture / p_base) of it as it was before.
  double update(int32_t token);

  bool is_hedging() const { return next_hedged_ < end_hedged_; }
  // The row that comes next; it and those after it must be computed, not found in a cache.
  int32_t next_hedged() const { return next_hedged_; }
  // Whether rows before `end` have to settle the weights still.
  bool hedges_before(int32_t end) const { return is_hedging() && next_hedged_ < end; }
  // next_hedged() was evaluated and updated.
  void hedged();
  // Another answer to the same prompt has settled it already.
  void take_prompt_weights(const SequenceHead& other);

  // Time that the caller counts to the head, and what there is of it in whole microseconds.
  uint64_t& spent_ns() { return spent_ns_; }
  uint64_t take_spent_us() {
    const uint64_t us = spent_ns_ / 1000;
    spent_ns_ -= us * 1000;
    return us;
  }

 private:
  std::shared_ptr<const adapters::HeadAdapter> adapter_;
  adapters::HeadEvaluator evaluator_;
  adapters::ExpertWeights weights_;
  adapters::ExpertWeights prompt_weights_;  // once it does not hedge any more
  int32_t next_hedged_;
  int32_t end_hedged_;
  double log_sum_exp_ = 0;
  uint64_t spent_ns_ = 0;
  bool is_evaluated_ = false;
  bool has_experts_ = false;  // of this row; false: its hidden state says nothing
};

}  // namespace ruvllm::engine
