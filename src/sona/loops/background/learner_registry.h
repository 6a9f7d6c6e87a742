// Owners' learners by name. Whoever starts a request finds the owner's current adapter here without
// waiting for any learning.
//
// Thread-safe. Lock order: an entry's learning before its publication; the map's is never held
// while learning.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "sona/loops/user/user_learner.h"

namespace ruvllm::sona {

struct LearnerRegistryOptions {
  // All learners together; beyond it the least recently used are saved and let go. 0: no limit.
  int64_t max_bytes = 0;
  // A new owner's learner, or the one that was saved under its name.
  std::function<Result<std::unique_ptr<UserLearner>>(std::string_view owner)> load = nullptr;
  // Called before a learner is let go; none: it is kept in memory whatever max_bytes says.
  std::function<Status(std::string_view owner, const UserLearner& learner)> save = nullptr;
};

class LearnerRegistry {
 public:
  explicit LearnerRegistry(LearnerRegistryOptions options) : options_(std::move(options)) {}

  // The adapter to pin for a request; none: the owner has not been loaded, or learned nothing.
  std::shared_ptr<const adapters::HeadAdapter> find(std::string_view owner) const;

  // Loads the owner's learner where it is not yet there.
  Status load(std::string_view owner);
  // Learns now, on the calling thread. Waits while the same owner's learner is at work.
  Result<LearnOutcome> learn(std::string_view owner, SharedSample sample);
  Result<ConsolidationReport> consolidate(std::string_view owner, ConsolidationStrategy strategy);
  // For all else: `use` is the only one that touches the learner; what it publishes is found
  // afterwards.
  Status with_learner(std::string_view owner, const std::function<void(UserLearner&)>& use);
  // Forgets the learner in memory (not what was saved).
  void remove(std::string_view owner);

  std::vector<std::string> owners() const;
  int64_t bytes() const;
  int64_t num_evicted() const { return num_evicted_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    std::mutex learning;
    std::unique_ptr<UserLearner> learner;  // under `learning`, as is_gone
    bool is_gone = false;                  // no longer in the map
    mutable std::mutex publication;        // held to copy a pointer only
    std::shared_ptr<const adapters::HeadAdapter> adapter;
    std::atomic<int64_t> bytes = 0;
    std::atomic<uint64_t> last_used = 0;
  };

  std::shared_ptr<Entry> entry_of(std::string_view owner) const;
  Result<std::shared_ptr<Entry>> loaded_entry(std::string_view owner);
  static void publish(Entry& entry);
  Status make_room(std::string_view except);

  LearnerRegistryOptions options_;
  mutable std::shared_mutex map_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
  mutable std::atomic<uint64_t> clock_ = 0;
  std::atomic<int64_t> num_evicted_ = 0;
};

}  // namespace ruvllm::sona
