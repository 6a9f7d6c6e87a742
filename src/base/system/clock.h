// Monotonic time; wall time is for labels only (reliability R39).
#pragma once

#include <cstdint>

#include <time.h>

namespace ruvllm {

inline uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

inline uint64_t monotonic_us() { return monotonic_ns() / 1000; }

}  // namespace ruvllm
