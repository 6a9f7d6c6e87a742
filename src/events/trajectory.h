// What is left of a finished response, for those who learn from it: on its way from a step loop to
// the learner, over a ring that loses rather than waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/threads/spsc_ring.h"
#include "events/token_event.h"
#include "events/trace.h"
#include <ruvllm/latency.h>

namespace ruvllm::events {

// The submitter sets the first two, the step loop the rest when the request ends.
struct Trajectory {
  std::string response_id;             // what feedback names
  std::string owner;                   // whose it is; means something to the submitter alone
  std::shared_ptr<const Trace> trace;  // or none

  std::vector<int32_t> tokens;  // prompt and answer, without an end token
  uint32_t num_prompt = 0;
  uint64_t head_generation = 0;  // of the head adapter that was served; 0: none
  EndReason end = EndReason::kNone;
  LatencyBreakdown latency;  // tokenization_us is the submitter's
};

// One step loop pushes, one thread pops.
class TrajectoryRing {
 public:
  // `capacity` is a power of two.
  explicit TrajectoryRing(uint32_t capacity) : ring_(capacity) {}

  // Never waits and never allocates: what finds no room is counted and dropped.
  void push(std::shared_ptr<Trajectory> trajectory) {
    if (!ring_.push(std::move(trajectory))) num_dropped_.fetch_add(1, std::memory_order_relaxed);
  }
  // The oldest; none: there is nothing.
  std::shared_ptr<Trajectory> pop() {
    std::shared_ptr<Trajectory> trajectory;
    ring_.pop(trajectory);
    return trajectory;
  }

  uint64_t num_dropped() const { return num_dropped_.load(std::memory_order_relaxed); }

 private:
  SpscRing<std::shared_ptr<Trajectory>> ring_;
  std::atomic<uint64_t> num_dropped_{0};
};

}  // namespace ruvllm::events
