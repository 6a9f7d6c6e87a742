// Products of the store's levels (cpu/kv_store.h) with 16-bit factors, in portable C++. Sums of
// integers are exact: every ISA has the same. ISAs that can do better specialise Levels in
// levels_*.h, included only by their sources.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kv_store.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

template <class Word>
RUVLLM_ALWAYS_INLINE Word load_word(const std::byte* src) {
  Word word;
  __builtin_memcpy(&word, src, sizeof(word));
  return word;
}

template <class V>
struct Levels {
  // Register tile: kTileRows * kTileVecs sums. A run is kStoredRun / V::kLanes vectors, a multiple
  // of kTileVecs.
  static constexpr size_t kTileRows = 2;
  static constexpr size_t kTileVecs = 2;
  // Whether runs are unpacked to 16 bits in a pass of their own even for a single tile of rows.
  static constexpr bool decodes_ahead(size_t bits) { return bits != 8; }
  struct Pairs {
    int16_t raw[2 * V::kLanes];
  };
  struct Sums {
    int32_t raw[V::kLanes];
  };

  // Pairs [vec * kLanes, (vec + 1) * kLanes) of the run; with 16 bits of one that is unpacked.
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE Pairs load(const std::byte* run, size_t vec) {
    Pairs pairs;
    for (size_t i = 0; i < 2 * V::kLanes; ++i) {
      pairs.raw[i] = static_cast<int16_t>(level<kBits>(run, 2 * vec * V::kLanes + i));
    }
    return pairs;
  }
  static RUVLLM_ALWAYS_INLINE void store(Pairs pairs, std::byte* dst) {
    __builtin_memcpy(dst, pairs.raw, sizeof(pairs.raw));
  }
  static RUVLLM_ALWAYS_INLINE Pairs broadcast(const int16_t* pair) {
    Pairs pairs;
    for (size_t i = 0; i < 2 * V::kLanes; ++i) pairs.raw[i] = pair[i % 2];
    return pairs;
  }
  static RUVLLM_ALWAYS_INLINE Sums zero() { return {}; }
  // In each lane sums + the products of both members of a pair.
  static RUVLLM_ALWAYS_INLINE Sums multiply_add(Pairs a, Pairs b, Sums sums) {
    for (size_t i = 0; i < 2 * V::kLanes; ++i) sums.raw[i / 2] += a.raw[i] * b.raw[i];
    return sums;
  }
  static RUVLLM_ALWAYS_INLINE V to_float(Sums sums) {
    float floats[V::kLanes];
    for (size_t i = 0; i < V::kLanes; ++i) floats[i] = static_cast<float>(sums.raw[i]);
    return V::load(floats);
  }
  // dst[i] = a[i] * b[i] / 2^15 rounded, halves up, for a multiple of 32 numbers.
  static RUVLLM_ALWAYS_INLINE void multiply_rounded(const int16_t* a, const int16_t* b,
                                                    size_t count, int16_t* dst) {
    for (size_t i = 0; i < count; ++i) {
      dst[i] = static_cast<int16_t>((a[i] * b[i] + (1 << 14)) >> 15);
    }
  }
  // Keeps the compiler from loading ahead of the products, like V's.
  static RUVLLM_ALWAYS_INLINE void order_memory_after(Sums&) {}

 private:
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE int32_t level(const std::byte* run, size_t index) {
    if constexpr (kBits == 16) return load_word<int16_t>(run + 2 * index);
    if constexpr (kBits == 8) return load_word<int8_t>(run + index);
    if constexpr (kBits == 4) {
      const uint32_t both = load_word<uint8_t>(run + index % 32);
      return static_cast<int32_t>(index < 32 ? both & 15u : both >> 4);
    }
    const size_t lane = index % 16;
    uint32_t four = load_word<uint8_t>(run + lane);
    if constexpr (kBits == 3) {
      four |= (load_word<uint8_t>(run + 16 + lane / 2) >> (lane % 2 * 4) & 15u) << 8;
    }
    return static_cast<int32_t>(four >> (index / 16 * kBits) & ((1u << kBits) - 1u));
  }
};

}  // namespace
}  // namespace ruvllm::kernels
