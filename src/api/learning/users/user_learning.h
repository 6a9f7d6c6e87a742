// One user's learning: the state that was saved, and the lessons that came since.
//
// Lessons are rows of the store and learned in their order, each once: the saved state names the
// last row it holds, and catch_up() learns those behind it. What a process did not save before it
// ended, the next one learns again, to the same bits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/learning/learned_users.h"
#include "api/learning/state/tenant_state.h"
#include "api/learning/users/evidence.h"
#include "api/learning/users/learning_model.h"
#include "sona/instant/instant_learner.h"
#include "sona/state/learner_codec.h"

namespace ruvllm::api {

// What learning one row did.
struct LearnedRow {
  uint64_t num_tokens = 0;
  uint64_t num_refused = 0;
  double evidence_ms = 0;
  double learn_ms = 0;
  // Of own text: as the tokens were predicted before they were learned from.
  double base_loss = 0;
  double served_loss = 0;
  uint64_t num_scored = 0;
};

// Not thread-safe but for use() and is_loaded(): its owner lets one thread in at a time.
class UserLearning {
 public:
  // All three outlive it.
  UserLearning(TenantState& state, LearningModel& model, sona::Owner owner);

  // What the store has, and what came since. Also where another program or a rollback changed it.
  Status load();
  // Learns the rows that came since, and says what learning `wanted` did, if it is one of them. A
  // row that cannot be learned (damaged, of another model) is counted and passed over.
  Result<LearnedRow> catch_up(int64_t wanted);
  // Saves what was learned since the last save as a generation, which becomes the current one.
  Status save();

  LearnedUse use() const;  // any thread
  // Any thread: whether load() was through once.
  bool is_loaded() const { return is_loaded_.load(std::memory_order_acquire); }
  uint64_t num_unsaved() const { return num_unsaved_; }
  uint64_t num_passed_over() const { return num_passed_over_; }

 private:
  Result<LearnedRow> learn(const sona::Feedback& row);
  Result<LearnedRow> learn_answer(const Lesson& lesson);
  Result<LearnedRow> learn_preference(const Lesson& lesson);
  Result<sona::InstantLearner*> learner();
  void publish();

  TenantState& state_;
  LearningModel& model_;
  sona::Owner owner_;
  std::unique_ptr<sona::InstantLearner> learner_;  // none: nothing was learned
  sona::KnownBlobs known_blobs_;
  uint64_t generation_ = 0;
  int64_t last_feedback_ = 0;
  uint64_t num_unsaved_ = 0;
  uint64_t num_passed_over_ = 0;
  std::atomic<bool> is_loaded_ = false;
  mutable std::mutex use_mutex_;
  LearnedUse use_;
};

}  // namespace ruvllm::api
