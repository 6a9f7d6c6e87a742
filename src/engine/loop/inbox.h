// Requests on their way from the submitters to the step loop, and the bound on how many wait.
//
// push(), stop() and wake() are thread-safe; the rest belongs to the engine thread, which looks
// without locking and locks only to take. It allocates nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "engine/sequence.h"

namespace ruvllm::engine {

class Inbox {
 public:
  explicit Inbox(uint32_t max_queued);

  // All or none. kResourceExhausted: the queue is full.
  Status push(std::span<std::unique_ptr<Sequence>> sequences);
  void stop();
  void wake();  // one wait_for_work() returns although nothing came

  // Moves what came to the end of `waiting`, oldest first. They count as waiting until leave().
  void drain(std::vector<std::unique_ptr<Sequence>>& waiting);
  void leave() { num_waiting_.fetch_sub(1, std::memory_order_relaxed); }
  // Sleeps while there is nothing to do, unless the loop has work; false when it shall end.
  bool wait_for_work(bool has_work);

 private:
  const uint32_t max_queued_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Sequence>> arrived_;
  uint64_t num_arrivals_ = 0;
  std::atomic<uint32_t> num_arrived_{0};
  std::atomic<uint32_t> num_waiting_{0};  // that were never admitted, those that arrived included
  std::atomic<uint32_t> events_{0};       // moves at every push and at the end
  std::atomic<bool> stopping_{false};
  std::atomic<bool> woken_{false};
};

}  // namespace ruvllm::engine
