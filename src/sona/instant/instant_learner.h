// The instant loop: turns what followed a user's positions into that user's next head adapter.
//
// One writer, off the path of tokens; what it publishes is read by any thread. learn() takes tens
// of microseconds a token, publish() copies the rows (at most some hundred microseconds), and
// seal_memory() is background work.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/head/head_adapter.h"
#include "adapters/head/row_products.h"
#include "kernels/cpu/kernel_table.h"
#include "sona/instant/head/fast_head_learner.h"
#include "sona/instant/head/row_table.h"
#include "sona/instant/memory/memory_writer.h"
#include "sona/instant/preference.h"
#include "sona/instant/token_evidence.h"

namespace ruvllm::sona {

struct InstantOptions {
  // One expert each: more than one lets the mixture choose the rate.
  std::vector<FastHeadOptions> fast_heads = {FastHeadOptions{}};
  int32_t max_rows = 1024;  // at least FastHeadLearner::kMaxBatch
  std::vector<adapters::MemoryExpert> memory_experts = {adapters::MemoryExpert{}};
  // Where a conversation starts; the other experts share the rest equally.
  double base_prior = 0.5;
  // A fast head that has cost more than this against the base, over all it has learned from, starts
  // anew; nats.
  double max_harm = 64;
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
};

class InstantLearner {
 public:
  // `kernels` and `features` outlive the learner (features are shared with what it publishes).
  InstantLearner(const kernels::KernelTable& kernels,
                 std::shared_ptr<const adapters::HeadFeatures> features, InstantOptions options);

  // The user's own text, corrections and edits: targets of weight > 0 are also remembered.
  LearnReport learn(std::span<const TokenEvidence> tokens);
  // A rated response, by KTO against the running mean of the ratios of the responses rated so far.
  LearnReport learn_rating(std::span<const TokenEvidence> response, bool is_desirable);
  // A response that was preferred to another, by DPO.
  LearnReport learn_pair(std::span<const TokenEvidence> chosen,
                         std::span<const TokenEvidence> rejected);

  // All that was learned until now, as a generation of its own; generations count from 1.
  std::shared_ptr<const adapters::HeadAdapter> publish();

  // Work for a background thread's pauses, on the writer's thread.
  bool wants_sealing() const { return memory_.num_full_chunks() > 0; }
  void seal_memory() { memory_.seal(); }
  // A subject ends: its weights are held by EWC while others are learned.
  void end_task();
  // Back to the base; generations go on.
  void clear();

  const FastHeadLearner& fast_head(size_t index) const { return fast_heads_[index]; }
  std::span<const RowTable::Entry> rows() const { return rows_.entries(); }

 private:
  // Takes evidence from the front of `tokens` until a batch is full, as valid inputs of products_.
  FeatureBatch next_batch(std::span<const TokenEvidence>& tokens, LearnReport& report);
  bool is_valid(const TokenEvidence& token) const;
  std::vector<double> log_ratios(std::span<const TokenEvidence> tokens);
  void learn_weighted(std::span<const TokenEvidence> tokens, std::span<const double> weights,
                      bool remembers, LearnReport& report);
  void restart_harmful(LearnReport& report);

  std::shared_ptr<const adapters::HeadFeatures> features_;
  InstantOptions options_;
  adapters::RowProducts products_;
  RowTable rows_;
  std::vector<FastHeadLearner> fast_heads_;
  MemoryWriter memory_;
  std::vector<TokenEvidence> batch_;
  std::vector<float> phi_;  // [batch, padded_dim + 1]
  // Running mean of the rated responses' ratios, by fast head.
  std::vector<double> kto_reference_;
  int64_t num_ratings_ = 0;
  uint64_t generation_ = 0;
};

}  // namespace ruvllm::sona
