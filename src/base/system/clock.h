// Monotonic time; wall time is for labels only (reliability R39).
#pragma once

#include <cstdint>

#include <time.h>

namespace ruvllm {

inline uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }

// Processor time of the calling thread: waiting and being preempted cost nothing.
inline uint64_t thread_cpu_ns() { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

inline uint64_t monotonic_us() { return monotonic_ns() / 1000; }

}  // namespace ruvllm
