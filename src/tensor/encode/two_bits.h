// The order of two-bit levels in q2_K and q3_K.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/blocks.h"

namespace ruvllm::codec {

// Low two bits of each of the 256 levels: bits 2c and 2c + 1 of qs[32h + l] are of 128h + 32c + l.
inline void pack_two_bits(const uint8_t* levels, uint8_t qs[kSuperblock / 4]) {
  std::memset(qs, 0, kSuperblock / 4);
  for (int i = 0; i < kSuperblock; ++i) {
    uint8_t& byte = qs[32 * (i / 128) + i % 32];
    byte = static_cast<uint8_t>(byte | ((levels[i] & 3) << (2 * (i % 128 / 32))));
  }
}

}  // namespace ruvllm::codec
