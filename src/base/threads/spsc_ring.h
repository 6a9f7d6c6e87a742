// Bounded single-producer single-consumer queue; the consumer can sleep until something comes.
//
// The producer never waits and never locks: push() fails on a full ring.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace ruvllm {

template <typename T>
class SpscRing {
  static_assert(std::is_nothrow_move_assignable_v<T>);

 public:
  // Holds up to `capacity` elements, a power of two.
  explicit SpscRing(uint32_t capacity) : slots_(capacity), mask_(capacity - 1) {}

  // Producer.
  uint32_t free_slots() const {
    const uint32_t used =
        tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire);
    return mask_ + 1 - used;
  }
  // A value that finds no room is left as it is.
  template <typename U>
  bool push(U&& value) {
    if (free_slots() == 0) return false;
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    slots_[tail & mask_] = std::forward<U>(value);
    tail_.store(tail + 1, std::memory_order_release);
    tail_.notify_one();
    return true;
  }

  // Consumer.
  bool pop(T& value) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    if (tail_.load(std::memory_order_acquire) == head) return false;
    value = std::move(slots_[head & mask_]);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }
  void pop_wait(T& value) {
    while (!pop(value))
      tail_.wait(head_.load(std::memory_order_relaxed), std::memory_order_acquire);
  }

 private:
  std::vector<T> slots_;
  const uint32_t mask_;
  alignas(64) std::atomic<uint32_t> head_{0};  // next to read
  alignas(64) std::atomic<uint32_t> tail_{0};  // next to write
};

}  // namespace ruvllm
