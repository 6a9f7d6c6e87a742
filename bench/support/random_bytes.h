// Bytes that are plausible weights of every format: no format has an infinite, not-a-number or
// subnormal scale or value among them, which some processors are slow with.
#pragma once

#include <cstdint>
#include <span>

namespace ruvllm::bench {

inline void fill_random(std::span<std::byte> bytes) {
  uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(0x20u | (state >> 27));
  }
}

}  // namespace ruvllm::bench
