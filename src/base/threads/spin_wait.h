// Waits until an atomic no longer holds `old_value`: spins for about 50 us, then sleeps.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/system/clock.h"

namespace ruvllm {

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline void spin_then_wait(const std::atomic<uint32_t>& value, uint32_t old_value) {
  constexpr uint64_t kSpinNs = 50'000;
  constexpr int kSpinsBetweenClockReads = 64;
  const uint64_t start = monotonic_ns();
  do {
    for (int i = 0; i < kSpinsBetweenClockReads; ++i) {
      if (value.load(std::memory_order_acquire) != old_value) return;
      cpu_relax();
    }
  } while (monotonic_ns() - start < kSpinNs);
  while (value.load(std::memory_order_acquire) == old_value) {
    value.wait(old_value, std::memory_order_acquire);
  }
}

// Before it waits: does `idle` again and again, a step of well under a microsecond that returns
// whether there is more to do.
template <typename Idle>
void spin_then_wait(const std::atomic<uint32_t>& value, uint32_t old_value, Idle&& idle) {
  do {
    if (value.load(std::memory_order_acquire) != old_value) return;
  } while (idle());
  spin_then_wait(value, old_value);
}

}  // namespace ruvllm
