// The instant loop: turns what followed a user's positions into that user's next head adapter.
//
// One writer, off the path of tokens; what it publishes is read by any thread. learn() takes tens
// of microseconds a token, publish() copies the rows (at most some hundred microseconds), and
// seal_memory() is background work. Copies are independent writers; they share sealed memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/head/evaluator.h"
#include "adapters/head/head_adapter.h"
#include "adapters/head/row_products.h"
#include "kernels/cpu/kernel_table.h"
#include "sona/instant/corrections/correction_writer.h"
#include "sona/instant/head/fast_head_learner.h"
#include "sona/instant/head/row_table.h"
#include "sona/instant/hidden_space/hidden_space_learner.h"
#include "sona/instant/memory/memory_writer.h"
#include "sona/instant/preference.h"
#include "sona/instant/token_evidence.h"

namespace ruvllm::sona {

struct InstantOptions {
  // One expert each: more than one lets the mixture choose the rate.
  std::vector<FastHeadOptions> fast_heads = {FastHeadOptions{}};
  int32_t max_rows = 1024;  // at least FastHeadLearner::kMaxBatch
  std::vector<adapters::MemoryExpert> memory_experts = {adapters::MemoryExpert{}};
  // Learn from text and corrections, not from ratings and pairs; none without head_rows.
  std::vector<HiddenSpaceOptions> hidden_spaces = {};
  std::shared_ptr<const adapters::HeadRows> head_rows = nullptr;
  // Of bytes(): beyond it seal_memory() merges remembered states. 0: no limit.
  size_t max_bytes = size_t{256} << 20;
  // Where a conversation starts; the other experts share the rest equally.
  double base_prior = 0.5;
  // A fast head that has cost more than this against the base, over all it has learned from, starts
  // anew; nats.
  double max_harm = 64;
  CorrectionOptions corrections = {};
  KtoOptions kto = {};
  double dpo_beta = 0.1;
};

struct LearnReport {
  int64_t num_learned = 0;
  int64_t num_refused = 0;  // evidence that contradicts itself or is not finite
  // Sum over the learned tokens of log p' - log p_0 for the first fast head, as it was when each
  // batch came: what it had gained before learning from it, nats.
  double log_ratio = 0;
  int32_t num_restarts = 0;  // fast heads that exceeded max_harm
  // Of learn_correction: targets that the served mixture would still not rank first.
  int64_t num_not_first = 0;
};

class InstantLearner {
 public:
  static constexpr int kMaxCorrectionSteps = 8;

  // `kernels` and `features` outlive the learner (features are shared with what it publishes).
  InstantLearner(const kernels::KernelTable& kernels,
                 std::shared_ptr<const adapters::HeadFeatures> features, InstantOptions options);

  // The user's own text, corrections and edits: targets of weight > 0 are also remembered, where
  // there is a memory expert.
  LearnReport learn(std::span<const TokenEvidence> tokens);
  // What should have come instead of an answer: learned as text, and remembered so that the same
  // positions name these targets at once; the fast heads move on, at most kMaxCorrectionSteps
  // times, until the mixture that a new conversation is served ranks every target first among the
  // candidates.
  LearnReport learn_correction(std::span<const TokenEvidence> tokens);
  // A rated response, by KTO against the running mean of the ratios of the responses rated so far.
  LearnReport learn_rating(std::span<const TokenEvidence> response, bool is_desirable);
  // A response that was preferred to another, by DPO.
  LearnReport learn_pair(std::span<const TokenEvidence> chosen,
                         std::span<const TokenEvidence> rejected);

  // All that was learned until now, as a generation of its own; generations count from 1.
  std::shared_ptr<const adapters::HeadAdapter> publish();

  // Work for a background thread's pauses, on the writer's thread.
  bool wants_sealing() const { return memory_.num_full_chunks() > 0; }
  // Sorts what came into lists; where the budget is exceeded, merges what is most alike.
  void seal_memory();
  // What the learner holds.
  size_t bytes() const;
  // A token's row of every fast head, as merged from elsewhere: [padded_dim + 1].
  void set_row(int32_t token, std::span<const float> weights);
  // A subject ends: its weights are held by EWC while others are learned.
  void end_task();
  // Back to the base; generations go on.
  void clear();

  const FastHeadLearner& fast_head(size_t index) const { return fast_heads_[index]; }
  const HiddenSpaceLearner& hidden_space(size_t index) const { return hidden_spaces_[index]; }
  const MemoryWriter& memory() const { return memory_; }
  const CorrectionWriter& corrections() const { return corrections_; }
  // For restoring a saved one.
  CorrectionWriter& corrections() { return corrections_; }
  std::span<const RowTable::Entry> rows() const { return rows_.entries(); }
  const InstantOptions& options() const { return options_; }
  const std::shared_ptr<const adapters::HeadFeatures>& features() const { return features_; }

  // What beside options and features makes the learner, part by part (state/learner_codec.h): each
  // is read, or written, under its role.
  template <typename Self, typename Parts>
  static void exchange_parts(Self& self, Parts& parts) {
    parts.part("learner", self);
    parts.part("rows", self.rows_);
    parts.numbered("fast_head", self.fast_heads_);
    parts.numbered("hidden_space", self.hidden_spaces_);
    parts.memory("memory", self.memory_);
    parts.corrections("corrections", self.corrections_);
  }
  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    fields.number("generation", self.generation_);
    fields.number("num_ratings", self.num_ratings_);
    fields.array("kto_reference", self.kto_reference_);
    if constexpr (Fields::kReads) {
      fields.require(self.num_ratings_ >= 0, "num_ratings", "it is negative");
      fields.require(self.is_reference_consistent(), "kto_reference", "not one number a fast head");
    }
  }
  // After all parts were read: whether they belong together. If so, read_head_rows() makes them
  // whole.
  bool fits_together() const;
  void read_head_rows();

 private:
  bool is_reference_consistent() const;
  // Takes evidence from the front of `tokens` until a batch is full, as valid inputs of products_.
  FeatureBatch next_batch(std::span<const TokenEvidence>& tokens, LearnReport& report);
  std::vector<double> log_ratios(std::span<const TokenEvidence> tokens);
  void learn_weighted(std::span<const TokenEvidence> tokens, std::span<const double> weights,
                      bool is_text, LearnReport& report);
  // A new token's slot; what it held of another token becomes a remembered state.
  void start_row(const RowTable::Taken& taken, int32_t token);
  void teach_states(std::span<const TokenEvidence> tokens);
  // On logits_, which it makes of the candidates'.
  void evaluate_at(const adapters::HeadAdapter& adapter, const TokenEvidence& token);
  bool is_surely_first(const adapters::HeadAdapter& corrections, const TokenEvidence& token);
  bool is_first(const adapters::HeadAdapter& adapter, const TokenEvidence& token);
  std::vector<double> prior() const;
  std::shared_ptr<adapters::HeadAdapter> assemble();
  void restart_harmful(LearnReport& report);

  std::shared_ptr<const adapters::HeadFeatures> features_;
  InstantOptions options_;
  adapters::RowProducts products_;
  RowTable rows_;
  std::vector<FastHeadLearner> fast_heads_;
  std::vector<HiddenSpaceLearner> hidden_spaces_;
  MemoryWriter memory_;
  CorrectionWriter corrections_;
  adapters::HeadEvaluator evaluator_;
  std::vector<TokenEvidence> batch_;
  std::vector<float> phi_;     // [batch, padded_dim + 1]
  std::vector<float> logits_;  // by token: what is known of a position's
  // Running mean of the rated responses' ratios, by fast head.
  std::vector<double> kto_reference_;
  int64_t num_ratings_ = 0;
  uint64_t generation_ = 0;
};

}  // namespace ruvllm::sona
