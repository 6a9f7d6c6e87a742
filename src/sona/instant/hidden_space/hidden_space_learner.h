// Learns a low-rank change of the hidden state (adapters/head/hidden_space/hidden_space.h) by
// gradient steps: with g = sum_i r_i w_i over the target and the most probable tokens with a row,
//   C <- project(C - rate sum_t g_t u_t^T)
// onto the ball |C| <= max_shift / max |w_i|, in which no logit moves further than max_shift and
// KL(p_0 | p') <= max_shift^2 / 2. While D is frozen the loss is convex in C, and the certificate
// of HarmMeter holds with |G| that of C.
//
// One writer; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/head/hidden_space/hidden_space.h"
#include "sona/instant/head/fast_head_learner.h"
#include "sona/instant/head/harm_meter.h"
#include "sona/instant/head/head_gradient.h"
#include "sona/instant/head/row_table.h"

namespace ruvllm::sona {

struct HiddenSpaceOptions {
  int32_t rank = 8;  // 1 to HiddenSpaceAdapter::kMaxRank, at most hidden_dim + 1
  double rate = 0.1;
  double down_rate = 0;  // of D; above 0 the certificate does not hold
  int32_t most_probable = 32;
  double max_shift = 8;
  uint64_t seed = 1;
};

class HiddenSpaceLearner {
 public:
  HiddenSpaceLearner(const HiddenSpaceOptions& options, int32_t hidden_dim, int32_t padded_dim,
                     std::shared_ptr<const adapters::HeadRows> rows);

  // A slot that has a new token: its row of the output matrix is read.
  void start_row(int32_t slot, int32_t token);
  // Predicts, then learns. Returns the sum of log p' - log p_0 of the targets before the step.
  double learn(const FeatureBatch& batch);
  // Back to the base; rows stay.
  void clear();

  const HarmMeter& harm() const { return harm_; }
  // With projected rows in the order of `entries`.
  adapters::HiddenSpaceAdapter snapshot(std::span<const RowTable::Entry> entries) const;
  const adapters::HiddenSpaceAdapter& weights() const { return weights_; }
  size_t bytes() const;

  // state/fields.h; rows of the output matrix are read from the model again.
  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    fields.array("down", self.weights_.down);
    fields.array("up", self.weights_.up);
    fields.number("max_row_norm", self.max_row_norm_);
    fields.number("harm_measured", self.harm_.measured);
    fields.number("harm_certificate", self.harm_.certificate);
    if constexpr (Fields::kReads) {
      fields.require(self.is_consistent(), "up",
                     "weights do not fit their rank, or are not finite");
    }
  }

 private:
  bool is_consistent() const;
  void make_down(uint64_t seed);
  std::span<const float> row(int32_t slot) const {
    return std::span(rows_).subspan(static_cast<size_t>(slot) * hidden_dim_, hidden_dim_);
  }
  void project_rows();
  void add_token(const TokenEvidence& token, std::span<const float> phi);
  void take_step();

  HiddenSpaceOptions options_;
  size_t hidden_dim_;
  size_t width_;  // padded_dim + 1
  size_t rank_;
  std::shared_ptr<const adapters::HeadRows> head_rows_;
  adapters::HiddenSpaceAdapter weights_;  // projected by slot, made by project_rows()
  std::vector<float> rows_;               // w, [slots, hidden_dim]
  double max_row_norm_ = 0;
  std::vector<float> features_;    // u
  std::vector<float> shifts_;      // [slots]: d
  std::vector<float> hidden_sum_;  // g
  std::vector<double> up_sums_;    // [rank, hidden_dim]
  std::vector<double> down_sums_;  // [rank, width]
  HeadGradient gradient_;
  HarmMeter harm_;
};

}  // namespace ruvllm::sona
