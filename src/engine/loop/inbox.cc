#include "engine/loop/inbox.h"

#include <utility>

namespace ruvllm::engine {

Status Inbox::push(std::unique_ptr<Sequence> sequence) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= max_queued_) {
      return fail(ErrorCode::kResourceExhausted, "{} requests are waiting already; try again later",
                  queue_.size());
    }
    queue_.push_back(std::move(sequence));
    num_queued_.store(static_cast<uint32_t>(queue_.size()), std::memory_order_release);
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

std::unique_ptr<Sequence> Inbox::take() {
  if (num_queued_.load(std::memory_order_acquire) == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) return nullptr;
  std::unique_ptr<Sequence> next = std::move(queue_.front());
  queue_.pop_front();
  num_queued_.store(static_cast<uint32_t>(queue_.size()), std::memory_order_release);
  return next;
}

bool Inbox::wait_for_work(bool is_running) {
  for (;;) {
    const uint32_t seen = events_.load(std::memory_order_acquire);
    if (stopping_.load()) return false;
    if (is_running || num_queued_.load(std::memory_order_acquire) > 0) return true;
    events_.wait(seen, std::memory_order_acquire);
  }
}

}  // namespace ruvllm::engine
