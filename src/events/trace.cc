#include "events/trace.h"

#include <algorithm>

#include "base/core/check.h"

namespace ruvllm::events {

Trace::Trace(const TraceShape& shape) : shape_(shape) {
  RUVLLM_CHECK(shape.capacity >= 0 && shape.hidden_dim > 0);
  RUVLLM_CHECK(shape.num_top >= 0 && shape.max_rows >= 0);
  const size_t capacity = static_cast<size_t>(shape.capacity);
  const size_t candidates = capacity * max_candidates();
  positions_ = std::make_unique_for_overwrite<Position[]>(capacity);
  hidden_ =
      std::make_unique_for_overwrite<F16Bits[]>(capacity * static_cast<size_t>(shape.hidden_dim));
  candidate_tokens_ = std::make_unique_for_overwrite<int32_t[]>(candidates);
  candidate_logits_ = std::make_unique_for_overwrite<float[]>(candidates);
  sorted_ = std::make_unique_for_overwrite<int32_t[]>(static_cast<size_t>(shape.num_top) + 1);
}

size_t Trace::max_candidates() const {
  return 1 + static_cast<size_t>(shape_.num_top) + static_cast<size_t>(shape_.max_rows);
}

uint64_t Trace::bytes() const {
  const size_t of_position = sizeof(Position) +
                             static_cast<size_t>(shape_.hidden_dim) * sizeof(F16Bits) +
                             max_candidates() * (sizeof(int32_t) + sizeof(float));
  return static_cast<uint64_t>(shape_.capacity) * of_position;
}

void Trace::record(const TraceInput& input) noexcept {
  RUVLLM_DCHECK(input.hidden.size() == static_cast<size_t>(shape_.hidden_dim));
  if (num_positions_ == shape_.capacity) {
    ++num_dropped_;
    return;
  }
  const size_t index = static_cast<size_t>(num_positions_++);
  F16Bits* hidden = hidden_.get() + index * input.hidden.size();
  std::ranges::transform(input.hidden, hidden, f32_to_f16);

  const auto top = input.top_tokens.first(
      std::min(input.top_tokens.size(), static_cast<size_t>(shape_.num_top)));
  const auto rows = input.row_tokens.first(
      std::min(input.row_tokens.size(), static_cast<size_t>(shape_.max_rows)));
  int32_t* const sorted = sorted_.get();
  int32_t* const sorted_end = std::ranges::copy(top, sorted).out + 1;
  sorted_end[-1] = input.target;
  std::sort(sorted, sorted_end);
  int32_t* const tokens = candidate_tokens_.get() + num_candidates_;
  int32_t* const merged_end = std::merge(sorted, sorted_end, rows.begin(), rows.end(), tokens);
  int32_t* const tokens_end = std::unique(tokens, merged_end);
  float* const logits = candidate_logits_.get() + num_candidates_;
  std::transform(tokens, tokens_end, logits,
                 [&](int32_t token) { return input.logits[static_cast<size_t>(token)]; });

  const size_t count = static_cast<size_t>(tokens_end - tokens);
  positions_[index] = {input.position, input.target, input.log_sum_exp, num_candidates_, count};
  num_candidates_ += count;
}

TracedToken Trace::token(int32_t index) const {
  RUVLLM_CHECK(index >= 0 && index < num_positions_);
  const size_t hidden_dim = static_cast<size_t>(shape_.hidden_dim);
  const Position& at = positions_[static_cast<size_t>(index)];
  return {at.position,
          at.target,
          at.log_sum_exp,
          {hidden_.get() + static_cast<size_t>(index) * hidden_dim, hidden_dim},
          {candidate_tokens_.get() + at.first_candidate, at.num_candidates},
          {candidate_logits_.get() + at.first_candidate, at.num_candidates}};
}

}  // namespace ruvllm::events
