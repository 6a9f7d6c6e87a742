// The learning thread: learns what is submitted as it comes, and consolidates each owner's learning
// when it is due. It runs at the lowest priority and never holds up a request.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/core/error.h"
#include "sona/loops/background/learner_registry.h"
#include <ruvllm/learning/sona_config.h>

namespace ruvllm::sona {

enum class ConsolidationDue : uint8_t { kNo, kDue, kForced };

// Due: the interval has passed and there are enough samples; forced: there are max_pending_samples,
// whatever the time.
ConsolidationDue consolidation_due(const SonaConfig& config, uint64_t now_ms, uint64_t last_ms,
                                   int64_t num_pending);

// What the thread has done; counts since its start.
struct BackgroundStatus {
  bool is_running = false;
  int64_t num_queued = 0;  // submitted and not learned yet
  int64_t num_learned = 0;
  int64_t num_not_learned = 0;  // held out, below the threshold, refused
  int64_t num_dropped = 0;      // came when the queue was full
  int64_t num_failed = 0;       // the owner's learner could not be loaded
  int64_t num_consolidations = 0;
  int64_t num_forced = 0;
  int64_t num_published = 0;
  int64_t num_rollbacks = 0;
  std::string last_error;
  std::optional<ConsolidationReport> last_report;
};

// What became of a sample or a consolidation; called on the learning thread, never under a lock.
struct BackgroundObserver {
  std::function<void(const std::string& owner, const Sample&, const LearnOutcome&)> learned =
      nullptr;
  std::function<void(const std::string& owner, const ConsolidationReport&)> consolidated = nullptr;
};

class BackgroundLoop {
 public:
  // `registry` outlives the loop. kResourceExhausted: the system has no thread left.
  static Result<std::unique_ptr<BackgroundLoop>> start(LearnerRegistry& registry,
                                                       const SonaConfig& config,
                                                       BackgroundObserver observer = {});
  BackgroundLoop(const BackgroundLoop&) = delete;
  BackgroundLoop& operator=(const BackgroundLoop&) = delete;
  ~BackgroundLoop() { stop(); }

  // Never waits for learning. false: max_pending_samples are queued; the sample is dropped and
  // counted.
  bool submit(std::string owner, SharedSample sample);
  // Until all that was submitted before is learned; false after stop().
  bool drain();
  // Ends the thread after the piece of work it has in hands; what is queued is left.
  void stop();
  BackgroundStatus status() const;

 private:
  struct Item {
    std::string owner;
    SharedSample sample;
  };
  struct Owner {
    int64_t num_pending = 0;
    uint64_t last_ms = 0;
  };
  BackgroundLoop(LearnerRegistry& registry, const SonaConfig& config, BackgroundObserver observer);

  void run();
  void learn(const Item& item);
  void consolidate_due();
  void consolidate(const std::string& owner, Owner& state, bool is_forced);

  LearnerRegistry& registry_;
  const SonaConfig config_;
  const BackgroundObserver observer_;
  std::map<std::string, Owner> owners_;  // of the thread

  mutable std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  std::deque<Item> queue_;
  bool is_stopping_ = false;
  bool is_busy_ = false;
  BackgroundStatus status_;
  std::thread thread_;
};

}  // namespace ruvllm::sona
