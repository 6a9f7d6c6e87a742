// Learners that meet one subject after another, for the study of forgetting.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "adapters/head/evaluator.h"
#include "base/numeric/random_stream.h"
#include "sona/evaluation/arms/served_head.h"
#include "sona/evaluation/feed/evidence.h"
#include "sona/evaluation/studies/study.h"
#include "sona/instant/instant_learner.h"

namespace ruvllm::sona {

class TaskLearner {
 public:
  virtual ~TaskLearner() = default;
  // The next subject, by its domain.
  virtual void begin_task(size_t domain) = 0;
  virtual void learn(const FeedChunk& chunk) = 0;
  virtual void end_task() = 0;
  // A text follows that is not learned.
  virtual void begin_test() = 0;
  // log(p / p_0) of the targets.
  virtual void test(const FeedChunk& chunk, std::span<double> log_ratios) = 0;
};

enum class Rehearsal : uint8_t {
  kNone,
  kReplay,  // of earlier subjects' positions with their targets
  // Of earlier subjects' states, with targets drawn from what the learner predicted there when the
  // subject ended: no text has to be kept.
  kSelf,
};

struct SharedLearnerOptions {
  double ewc_lambda = 0;
  Rehearsal rehearsal = Rehearsal::kNone;
  double replay_share = 0.25;  // positions rehearsed for one that is new
  int32_t kept = 600;          // positions of each subject
  // With its memory and hedged, as it is served; otherwise the fast head alone, not hedged.
  bool is_served = false;
};

// One learner for all subjects.
class SharedLearner final : public TaskLearner {
 public:
  SharedLearner(const StudySetting& setting, const SharedLearnerOptions& options);

  void begin_task(size_t domain) override;
  void learn(const FeedChunk& chunk) override;
  void end_task() override;
  void begin_test() override;
  void test(const FeedChunk& chunk, std::span<double> log_ratios) override;

 private:
  void keep(const FeedChunk& chunk);
  void rehearse(size_t num_new);
  // A token of the candidates, drawn from what the fast head makes of their logits.
  int32_t own_target(const KeptEvidence& token);

  SharedLearnerOptions options_;
  InstantLearner learner_;
  adapters::HeadEvaluator evaluator_;
  ServedHead served_;
  std::shared_ptr<const adapters::HeadAdapter> adapter_;
  EvidenceBatch evidence_;
  std::vector<KeptEvidence> past_;     // of subjects that have ended
  std::vector<KeptEvidence> current_;  // a reservoir of this one
  int64_t num_seen_ = 0;               // of this subject
  int64_t num_tested_ = 0;             // since the conversation began
  RandomStream random_{11};
  uint64_t num_draws_ = 0;
  double owed_ = 0;  // positions to rehearse
};

// A learner for each subject; the Bayes mixture, restarted with every conversation, chooses among
// them and the base.
class SlotLearner final : public TaskLearner {
 public:
  explicit SlotLearner(const StudySetting& setting);

  void begin_task(size_t domain) override;
  void learn(const FeedChunk& chunk) override;
  void end_task() override;
  void begin_test() override;
  void test(const FeedChunk& chunk, std::span<double> log_ratios) override;

  // All slots as one fast head. kFisher: each weight the mean of the slots' by what each knows of
  // it; kAverage: the plain mean, a missing row counting as zeros.
  enum class Merge : uint8_t { kFisher, kAverage };
  std::shared_ptr<const adapters::HeadAdapter> merged(Merge merge) const;

 private:
  const StudySetting& setting_;
  std::vector<InstantLearner> slots_;
  std::vector<std::shared_ptr<const adapters::HeadAdapter>> adapters_;
  adapters::HeadEvaluator evaluator_;
  std::unique_ptr<adapters::ExpertWeights> weights_;
  EvidenceBatch evidence_;
  int64_t num_tested_ = 0;
};

// A learner's fast heads alone.
std::shared_ptr<const adapters::HeadAdapter> publish_rows(InstantLearner& learner);

// log(p / p_0) of the targets under the adapter's first fast head alone.
void fast_head_log_ratios(adapters::HeadEvaluator& evaluator, const adapters::HeadAdapter& adapter,
                          const FeedChunk& chunk, std::span<double> log_ratios);

}  // namespace ruvllm::sona
