// Requests on their way from the submitters to the step loop: bounded, oldest first.
//
// push() and stop() are thread-safe; the rest belongs to the engine thread, which looks without
// locking and locks only to take.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "base/core/error.h"
#include "engine/sequence.h"

namespace ruvllm::engine {

class Inbox {
 public:
  explicit Inbox(uint32_t max_queued) : max_queued_(max_queued) {}

  // kResourceExhausted: the queue is full.
  Status push(std::unique_ptr<Sequence> sequence);
  void stop();

  std::unique_ptr<Sequence> take();  // the oldest, or none
  // Sleeps while there is nothing to do, unless something runs; false when the loop shall end.
  bool wait_for_work(bool is_running);

 private:
  const uint32_t max_queued_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<Sequence>> queue_;
  std::atomic<uint32_t> num_queued_{0};
  std::atomic<uint32_t> events_{0};  // moves at every push and at the end
  std::atomic<bool> stopping_{false};
};

}  // namespace ruvllm::engine
