#include "engine/loop/inbox.h"

#include <utility>

#include "base/system/clock.h"

namespace ruvllm::engine {

Inbox::Inbox(uint32_t max_queued) : max_queued_(max_queued) { arrived_.reserve(max_queued); }

Status Inbox::push(std::span<std::unique_ptr<Sequence>> sequences) {
  {
    const std::lock_guard lock(mutex_);
    const uint32_t num_waiting = num_waiting_.load(std::memory_order_relaxed);
    if (num_waiting + sequences.size() > max_queued_) {
      return fail(ErrorCode::kResourceExhausted,
                  "{} requests are waiting already, of at most {}; try again later", num_waiting,
                  max_queued_);
    }
    num_waiting_.fetch_add(static_cast<uint32_t>(sequences.size()), std::memory_order_relaxed);
    const uint64_t now_us = monotonic_us();
    for (std::unique_ptr<Sequence>& sequence : sequences) {
      sequence->arrival = num_arrivals_++;
      sequence->arrival_us = now_us;
      arrived_.push_back(std::move(sequence));
    }
    num_arrived_.store(static_cast<uint32_t>(arrived_.size()), std::memory_order_release);
  }
  events_.fetch_add(1, std::memory_order_release);
  events_.notify_one();
  return {};
}

void Inbox::stop() {
  stopping_.store(true);
  events_.fetch_add(1, std::memory_order_release);
  events_.notify_one();
}

void Inbox::wake() {
  woken_.store(true);
  events_.fetch_add(1, std::memory_order_release);
  events_.notify_one();
}

void Inbox::drain(std::vector<std::unique_ptr<Sequence>>& waiting) {
  if (num_arrived_.load(std::memory_order_acquire) == 0) return;
  const std::lock_guard lock(mutex_);
  for (std::unique_ptr<Sequence>& sequence : arrived_) waiting.push_back(std::move(sequence));
  arrived_.clear();
  num_arrived_.store(0, std::memory_order_release);
}

bool Inbox::wait_for_work(bool has_work) {
  for (;;) {
    const uint32_t seen = events_.load(std::memory_order_acquire);
    if (stopping_.load()) return false;
    if (has_work || num_arrived_.load(std::memory_order_acquire) > 0 || woken_.exchange(false)) {
      return true;
    }
    events_.wait(seen, std::memory_order_acquire);
  }
}

}  // namespace ruvllm::engine
