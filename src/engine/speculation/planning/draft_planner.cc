#include "engine/speculation/planning/draft_planner.h"

#include <algorithm>

#include "base/core/check.h"

namespace ruvllm::engine {
namespace {

// What has been picked so far, and what it would cost and bring.
class Picks {
 public:
  Picks(std::span<const DraftOption> options, const StepCost& verify, const StepCost& draft,
        std::span<int32_t> num_drafts)
      : options_(options),
        verify_(verify),
        draft_(draft),
        num_drafts_(num_drafts),
        tokens_(static_cast<double>(options.size())) {
    std::ranges::fill(num_drafts, 0);
  }

  double tokens_per_us() const {
    const int32_t rows = static_cast<int32_t>(options_.size()) + num_rows_;
    return tokens_ / (verify_.predict(rows) + draft_us_);
  }
  int32_t num_rows() const { return num_rows_; }

  // Takes the draft that is the likeliest to be kept; false if there is none left.
  bool pick() {
    size_t best = options_.size();
    float best_survival = 0.0f;
    for (size_t i = 0; i < options_.size(); ++i) {
      if (num_drafts_[i] == options_[i].max_drafts) continue;
      const float survival = options_[i].survival[static_cast<size_t>(num_drafts_[i])];
      if (survival > best_survival) {
        best = i;
        best_survival = survival;
      }
    }
    if (best == options_.size()) return false;
    const DraftOption& option = options_[best];
    if (option.by_model) {
      int32_t& pass_rows = pass_rows_[static_cast<size_t>(num_drafts_[best])];
      if (num_drafts_[best] == 0) draft_us_ += option.catch_up_us;
      if (pass_rows > 0) draft_us_ -= draft_.predict(pass_rows);
      draft_us_ += draft_.predict(++pass_rows);
    }
    tokens_ += static_cast<double>(best_survival);
    order_[static_cast<size_t>(num_rows_++)] = static_cast<int32_t>(best);
    ++num_drafts_[best];
    return true;
  }

  void drop_all_but(int32_t num_rows) {
    while (num_rows_ > num_rows) {
      --num_drafts_[static_cast<size_t>(order_[static_cast<size_t>(--num_rows_)])];
    }
  }

 private:
  std::span<const DraftOption> options_;
  const StepCost& verify_;
  const StepCost& draft_;
  std::span<int32_t> num_drafts_;
  std::array<int32_t, kMaxDraftRows> order_{};   // options, as picked
  std::array<int32_t, kMaxDrafts> pass_rows_{};  // of the draft model
  int32_t num_rows_ = 0;
  double tokens_;
  double draft_us_ = 0.0;
};

}  // namespace

DraftPlan plan_drafts(std::span<const DraftOption> options, int32_t max_rows,
                      const StepCost& verify, const StepCost& draft,
                      std::span<int32_t> num_drafts) {
  RUVLLM_CHECK(options.size() == num_drafts.size() && verify.is_known());
  Picks picks(options, verify, draft, num_drafts);
  constexpr double kLeastGain = 1.02;
  const int32_t most = std::min(max_rows, kMaxDraftRows);
  DraftPlan best{picks.tokens_per_us(), 0};
  double to_beat = best.tokens_per_us * kLeastGain;
  // Costs are no convex function of rows, kernels work in tiles: hence all numbers are tried.
  while (picks.num_rows() < most && picks.pick()) {
    const double tokens_per_us = picks.tokens_per_us();
    if (tokens_per_us <= to_beat) continue;
    best = {tokens_per_us, picks.num_rows()};
    to_beat = tokens_per_us;
  }
  picks.drop_all_but(best.num_rows);
  return best;
}

double extra_cost_us(int32_t num_options, int32_t num_drafts, bool by_model, const StepCost& verify,
                     const StepCost& draft) {
  const double passes = by_model ? num_drafts * draft.predict(1) : 0.0;
  return verify.predict(num_options + num_drafts) - verify.predict(num_options) + passes;
}

}  // namespace ruvllm::engine
