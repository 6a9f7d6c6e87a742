// Learns one fast head (adapters/head/head_adapter.h) by gradient steps on its rows.
//
// A batch of tokens is predicted with the rows as they would be served, then one step is taken:
// B <- clip(B - rate sum_t w_t r_t phi_t^T), r_t on the target and the most probable rows. One
// writer; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "adapters/head/head_adapter.h"
#include "adapters/head/row_products.h"
#include "sona/instant/head/consolidation.h"
#include "sona/instant/head/harm_meter.h"
#include "sona/instant/head/head_gradient.h"
#include "sona/instant/head/row_table.h"
#include "sona/instant/token_evidence.h"

namespace ruvllm::sona {

struct FastHeadOptions {
  double rate = 1;
  // Rows beside the target that a token moves.
  int32_t most_probable = 32;
  // |d_i| <= max_shift, up to the rounding of rows to 8 bits: then KL(p_0 | p') <= max_shift^2 / 2
  // whatever was learned, by Hoeffding's lemma. For a cap of K nats choose sqrt(2 K).
  double max_shift = 16;
  double ewc_lambda = 0;
  // What each ended task leaves of the information about earlier ones: below 1, many tasks weigh no
  // more than 1 / (1 - ewc_decay) of them.
  double ewc_decay = 1;
};

// A batch: positions with phi of each.
struct FeatureBatch {
  std::span<const TokenEvidence> tokens;
  std::span<const float> phi;                // [tokens, width]: u(h) padded, then the constant
  std::span<const RowTable::Entry> entries;  // every target has one
  int32_t num_slots = 0;
};

class FastHeadLearner {
 public:
  static constexpr int32_t kMaxBatch = 32;

  FastHeadLearner(const FastHeadOptions& options, int32_t padded_dim);

  size_t width() const { return width_; }

  // A slot that has a new token: all zeros.
  void start_row(int32_t slot);
  // weights [width].
  void set_row(int32_t slot, std::span<const float> weights);
  // Predicts, then learns; `weight` multiplies the tokens' own. The inputs of `products` are u(h)
  // of the batch. Returns the sum of log p' - log p_0 of the targets before the step.
  double learn(const FeatureBatch& batch, adapters::RowProducts& products, double weight = 1);
  // The same sum alone.
  double log_ratio(const FeatureBatch& batch, adapters::RowProducts& products);

  const HarmMeter& harm() const { return harm_; }
  // The current task has ended: its weights are held by ewc_lambda from now on.
  void end_task();
  // Back to the base.
  void clear();

  // The rows in the order of `entries`, as served.
  adapters::FastHeadRows snapshot(std::span<const RowTable::Entry> entries) const;
  std::span<const float> row(int32_t slot) const { return row_of(weights_, slot); }
  size_t bytes() const;
  const HeadConsolidation& consolidation() const { return consolidation_; }
  int32_t num_slots() const { return static_cast<int32_t>(place_.size()); }

  // state/fields.h
  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    fields.number("num_tokens", self.num_tokens_);
    fields.array("weights", self.weights_);
    fields.array("pulled_at", self.pulled_at_);
    fields.number("harm_measured", self.harm_.measured);
    fields.number("harm_certificate", self.harm_.certificate);
    HeadConsolidation::exchange(self.consolidation_, fields);
    if constexpr (Fields::kReads) {
      const bool is_whole = self.is_consistent();
      fields.require(is_whole, "weights", "they do not fit each other, or are too large");
      if (is_whole) self.serve_all();
    }
  }

 private:
  bool is_consistent() const;
  // Rebuilds what follows from weights_.
  void serve_all();
  std::span<const float> row_of(const std::vector<float>& rows, int32_t slot) const;
  std::span<float> row_of(std::vector<float>& rows, int32_t slot);
  void predict(const FeatureBatch& batch, adapters::RowProducts& products);
  void add_gradient(const FeatureBatch& batch, size_t token, double weight);
  void take_step();
  void store_row(int32_t slot);

  FastHeadOptions options_;
  size_t width_;                    // padded_dim + 1
  std::vector<float> weights_;      // [slots, width]
  std::vector<BlockQ8_0> served_;   // [slots, padded_dim / 32]
  std::vector<float> shifts_;       // [batch, slots]: d
  std::vector<float> biases_;       // [slots]: what the constant adds to d
  std::vector<float> sums_;         // [touched, width]: the batch's gradient
  std::vector<int32_t> touched_;    // slots, in the order of sums_
  std::vector<int32_t> place_;      // by slot: its index in touched_, or -1
  std::vector<int64_t> pulled_at_;  // by slot: num_tokens_ when it was last pulled to its anchor
  int64_t num_tokens_ = 0;
  HeadGradient gradient_;
  HarmMeter harm_;
  HeadConsolidation consolidation_;
};

}  // namespace ruvllm::sona
