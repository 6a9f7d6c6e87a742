// Waits for an atomic word to reach a state: spins for a while, then sleeps (docs/threads.md says
// how long and why).
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

// Until done(word). Whoever changes the word must notify its waiters.
template <typename Done>
void spin_then_wait(const std::atomic<uint32_t>& word, uint64_t spin_ns, Done&& done) {
  constexpr int kSpinsBetweenClockReads = 32;
  const uint64_t start = monotonic_ns();
  do {
    for (int i = 0; i < kSpinsBetweenClockReads; ++i) {
      if (done(word.load(std::memory_order_acquire))) return;
      cpu_relax();
    }
  } while (monotonic_ns() - start < spin_ns);
  for (;;) {
    const uint32_t value = word.load(std::memory_order_acquire);
    if (done(value)) return;
    word.wait(value, std::memory_order_acquire);
  }
}

}  // namespace ruvllm
