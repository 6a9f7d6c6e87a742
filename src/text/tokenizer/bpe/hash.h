// Hashes for the open-addressing tables of this folder.
#pragma once

#include <cstdint>

namespace ruvllm::text {

// Folds the 128-bit product, so that every input bit reaches every output bit.
inline uint64_t mix_hash(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// The seed of a table: the address of its memory, which whoever writes a hostile vocabulary cannot
// know (address space randomisation), so it cannot aim at one slot. Results never depend on it.
inline uint64_t seed_from_address(const void* memory) {
  return mix_hash(reinterpret_cast<uintptr_t>(memory) ^ 0x9E3779B97F4A7C15u, 0xD1B54A32D192ED03u);
}

}  // namespace ruvllm::text
