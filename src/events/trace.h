// What the model knew at positions of one sequence, for those who learn from it later: the final
// hidden state and the base's logits of the tokens that matter.
//
// Its memory is allocated by the submitter. The engine's thread writes, without allocating; others
// read after the sequence's end event.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/numeric/half.h"

namespace ruvllm::events {

struct TraceShape {
  int32_t capacity = 0;    // positions
  int32_t hidden_dim = 0;  // of the model
  int32_t num_top = 32;    // most probable tokens of each position
  int32_t max_rows = 0;    // tokens with a row in the head adapter that is served
};

// One position. Views; valid as long as the trace.
struct TracedToken {
  int32_t position = 0;             // of `target` in the sequence
  int32_t target = 0;               // the token that was drawn, or that the scored text has there
  double log_sum_exp = 0;           // of all the base's logits
  std::span<const F16Bits> hidden;  // [hidden_dim]: final state after the last norm
  // Ascending without doubles: the target, the most probable ones, those with a row.
  std::span<const int32_t> candidate_tokens;
  std::span<const float> candidate_logits;  // the base's: no head, bias or penalty in them
};

// What record() takes; the spans are read during the call.
struct TraceInput {
  int32_t position = 0;
  int32_t target = 0;
  double log_sum_exp = 0;
  std::span<const float> hidden;
  std::span<const float> logits;        // [vocab_size]: the base's
  std::span<const int32_t> top_tokens;  // at most num_top, in any order
  std::span<const int32_t> row_tokens;  // ascending; at most max_rows
};

class Trace {
 public:
  explicit Trace(const TraceShape& shape);

  const TraceShape& shape() const { return shape_; }

  // Writer. Beyond the capacity a position is counted and not recorded.
  void record(const TraceInput& input) noexcept;

  // Readers.
  int32_t size() const { return num_positions_; }
  int64_t num_dropped() const { return num_dropped_; }
  TracedToken token(int32_t index) const;

  // Bytes reserved; of them only those are touched that are written.
  uint64_t bytes() const;

 private:
  struct Position {
    int32_t position;
    int32_t target;
    double log_sum_exp;
    size_t first_candidate;
    size_t num_candidates;
  };
  size_t max_candidates() const;  // of one position

  TraceShape shape_;
  int32_t num_positions_ = 0;
  int64_t num_dropped_ = 0;
  size_t num_candidates_ = 0;  // of all positions
  // Not initialised: what is never written takes no memory.
  std::unique_ptr<Position[]> positions_;        // [capacity]
  std::unique_ptr<F16Bits[]> hidden_;            // [capacity, hidden_dim]
  std::unique_ptr<int32_t[]> candidate_tokens_;  // [capacity, max_candidates]
  std::unique_ptr<float[]> candidate_logits_;    // the same
  std::unique_ptr<int32_t[]> sorted_;            // [1 + num_top]: scratch
};

}  // namespace ruvllm::events
