// Elastic weight consolidation for the rows of a head (https://arxiv.org/abs/1612.00796, its online
// form https://arxiv.org/abs/1801.10112).
//
// The Fisher information of a softmax head has the exact diagonal F_ij = E[p_i (1 - p_i) phi_j^2]
// under the model's own distribution; it is averaged over a task's tokens and summed over tasks,
// earlier ones decayed.
// The penalty lambda / 2 sum F (B - B*)^2 is taken as a proximal step, which no lambda can make
// unstable. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::sona {

// B <- (B + strength F B*) / (1 + strength F), element by element.
void proximal_step(std::span<float> values, std::span<const float> anchors,
                   std::span<const float> fishers, double strength);

class HeadConsolidation {
 public:
  // Rows of `width` values.
  explicit HeadConsolidation(size_t width) : width_(width) {}

  // A token of the current task: adds p (1 - p) phi^2 to the slot's information.
  void observe(int32_t slot, double probability, std::span<const float> phi);
  void count_tokens(int64_t count) { num_tokens_ += count; }
  // The slot belongs to another token from now on.
  void forget(int32_t slot);
  void clear();

  // The current task ends with these weights [slots, width]: they become the anchor. `decay` is
  // what remains of the information about the tasks before.
  void end_task(std::span<const float> weights, double decay = 1);
  size_t bytes() const {
    return (current_.size() + fishers_.size() + anchors_.size()) * sizeof(float);
  }
  bool has_anchor() const { return !anchors_.empty(); }

  // Pulls a row towards its anchor; strength: rate x tokens x lambda.
  void pull(int32_t slot, std::span<float> row, double strength) const;

  std::span<const float> fisher(int32_t slot) const { return row_of(fishers_, slot); }

  // state/fields.h
  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    fields.number("ewc_tokens", self.num_tokens_);
    fields.array("ewc_current", self.current_);
    fields.array("ewc_fishers", self.fishers_);
    fields.array("ewc_anchors", self.anchors_);
  }
  // Of at most `num_slots` rows, all values as observe() and end_task() leave them.
  bool is_consistent(size_t num_slots) const;

 private:
  std::span<const float> row_of(const std::vector<float>& rows, int32_t slot) const;
  std::span<float> grown_row(std::vector<float>& rows, int32_t slot) const;

  size_t width_;
  int64_t num_tokens_ = 0;      // of the current task
  std::vector<float> current_;  // sums of the current task, [slots, width]
  std::vector<float> fishers_;  // of all tasks that have ended
  std::vector<float> anchors_;
};

}  // namespace ruvllm::sona
