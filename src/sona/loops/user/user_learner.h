// Everything that is learned for one owner: finds the subjects in what comes, learns each with a
// learner of its own, consolidates them behind a gate, and goes back where it does harm.
//
// What is served is one head adapter: the consolidated head and the most recently used slots' as
// experts over shared rows, beside the memory that all share. A conversation's weights choose among
// them, so that no one has to name a subject.
//
// One writer at a time (LearnerRegistry sees to it); adapter() is for the writer too. What it
// returns is immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapters/head/head_adapter.h"
#include "kernels/cpu/kernel_table.h"
#include "sona/loops/evidence/sample.h"
#include "sona/loops/evidence/scorer.h"
#include "sona/loops/gate/gate.h"
#include "sona/loops/user/change_point.h"
#include "sona/loops/user/head_rows.h"
#include "sona/loops/user/user_options.h"
#include "sona/loops/user/user_state.h"

namespace ruvllm::sona {

enum class SampleFate : uint8_t {
  kLearned,
  kHeldOut,
  kBelowThreshold,
  kRefused,      // nothing in it is consistent evidence, or its quality is not in 0..1
  kSwitchedOff,  // instant_lr is 0
};

struct LearnOutcome {
  SampleFate fate = SampleFate::kRefused;
  uint64_t slot_id = 0;
  bool is_new_slot = false;
  bool is_boundary = false;      // a change of subject within a slot
  bool was_rolled_back = false;  // before learning
  // log p - log p_base of the text or correction under what was served, before it was learned;
  // none: not measured (ratings and preferences).
  std::optional<double> live_log_ratio;
  LearnReport report;
  uint64_t generation = 0;
};

enum class ConsolidationOutcome : uint8_t { kPublished, kRejected, kUndecided, kNothingToDo };

struct ConsolidationReport {
  ConsolidationOutcome outcome = ConsolidationOutcome::kNothingToDo;
  ConsolidationStrategy strategy = ConsolidationStrategy::EwcMerge;
  GateResult gate;
  // Measured fall of the held-out loss, nats a token, and its confidence sequence; none: not
  // measured.
  std::optional<double> quality_delta;
  double delta_low = 0, delta_high = 0;
  int32_t num_merged_slots = 0;
  int32_t num_dropped_slots = 0;
  std::string reason;
  uint64_t generation = 0;
};

struct UserCounters {
  int64_t num_samples = 0;
  int64_t num_learned = 0;
  int64_t num_held_out = 0;
  int64_t num_below_threshold = 0;
  int64_t num_refused = 0;
  int64_t num_slots_found = 0;
  int64_t num_boundaries = 0;
  int64_t num_published = 0;  // consolidations
  int64_t num_rejected = 0;   // and undecided
  int64_t num_rollbacks = 0;
  std::string last_rollback_reason;
};

class UserLearner {
 public:
  // `kernels` outlive the learner. config is valid and vocab_size positive.
  UserLearner(const kernels::KernelTable& kernels,
              std::shared_ptr<const adapters::HeadFeatures> features,
              const UserLearnerOptions& options);

  LearnOutcome learn(SharedSample sample);
  LearnOutcome learn(Sample sample) {
    return learn(std::make_shared<const Sample>(std::move(sample)));
  }

  // Background work: what was learned since the last one, into the consolidated head.
  ConsolidationReport consolidate(ConsolidationStrategy strategy);
  // Samples learned since it was last tried.
  int64_t num_pending() const { return num_pending_; }
  // Background work that needs no gate: memory into its searchable form.
  bool wants_sealing() const { return state_.common->wants_sealing(); }
  void seal();

  // General text, to which nothing may do harm: by conversation. Not learned from.
  void set_guard(std::vector<SharedSample> guard) { guard_ = std::move(guard); }
  // Text that the base wrote itself: rehearsed with past samples, so that what was not taught
  // stays as it was.
  void add_self_generated(SharedSample sample) { state_.replay.offer(std::move(sample)); }

  // To the parent generation, or to the base where there is none.
  void roll_back(std::string reason);
  // Back to the base: nothing is kept.
  void clear();

  std::shared_ptr<const adapters::HeadAdapter> adapter() const { return adapter_; }
  uint64_t generation() const { return generation_; }

  bool should_trigger_deep() const {
    return accumulated_quality_ >= options_.config.deep_trigger_threshold;
  }
  double accumulated_quality() const { return accumulated_quality_; }
  void deep_has_run() { accumulated_quality_ = 0; }

  const UserCounters& counters() const { return counters_; }
  const UserState& state() const { return state_; }
  // State read back from a store. Its tokens are below vocab_size.
  void restore(UserState state, uint64_t generation);
  // A state without anything learned, with this learner's options.
  UserState empty_state() const;
  // Held by this learner alone, near enough for a budget.
  int64_t bytes() const;

 private:
  struct Route {
    size_t slot = 0;
    bool is_new = false;
  };
  struct Candidate {
    UserState state;
    int32_t num_compared = 1;  // that it was chosen from by its held-out loss
  };
  // user_learner.cc
  std::vector<TokenEvidence> usable(const std::vector<OwnedEvidence>& tokens) const;
  std::optional<SampleFate> fate_before_learning(const Sample& sample);
  void watch(std::span<const TokenEvidence> tokens, LearnOutcome& outcome);
  Route route(const Sample& sample, std::span<const TokenEvidence> tokens);
  Route new_slot();
  LearnReport learn_in(Slot& slot, const Sample& sample, std::span<const TokenEvidence> tokens);
  void keep_checkpoint(UserState parent);
  InstantOptions head_options(int32_t max_rows, double max_harm) const;
  double rate() const;
  std::shared_ptr<const adapters::HeadAdapter> serve(const UserState& state) const;
  void publish();

  // consolidation.cc
  std::optional<Candidate> candidate(ConsolidationStrategy strategy, ConsolidationReport& report);
  UserState merged(ConsolidationStrategy strategy, ConsolidationReport& report) const;
  InstantLearner ewc_merged(int64_t num_tokens, std::span<const HeadRows> sources) const;
  std::optional<Candidate> best_only(ConsolidationReport& report);
  void set_rows(InstantLearner& head, const HeadRows& rows) const;
  // Of the held-out text: log p - log p_base by token, and its sum.
  std::vector<double> held_out_gains(const adapters::HeadAdapter& adapter);
  std::optional<double> guard_rise(const adapters::HeadAdapter& candidate);
  GateResult judge(const UserState& candidate, int32_t num_compared);
  // Makes room for a new subject where the consolidated head has taken over an old one.
  void drop_merged_slot(ConsolidationReport& report);

  const kernels::KernelTable& kernels_;
  std::shared_ptr<const adapters::HeadFeatures> features_;
  UserLearnerOptions options_;
  EvidenceScorer scorer_;
  UserState state_;
  std::vector<UserState> checkpoints_;  // parents, the nearest last
  std::vector<SharedSample> guard_;
  Gate gate_;
  ChangePoint change_point_;
  std::shared_ptr<const adapters::HeadAdapter> adapter_;
  uint64_t generation_ = 0;
  uint64_t next_slot_id_ = 1;
  int64_t num_text_samples_ = 0;
  int64_t num_pending_ = 0;
  int64_t now_ = 0;  // counts samples learned, for the slots' last_used
  int64_t tokens_since_checkpoint_ = 0;
  double live_harm_ = 0;
  double accumulated_quality_ = 0;
  UserCounters counters_;
};

}  // namespace ruvllm::sona
