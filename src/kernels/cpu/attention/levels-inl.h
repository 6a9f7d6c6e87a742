// Levels of a run of the store (cpu/kv_store.h) as floats, in portable C++. ISAs that can do better
// specialise Levels in levels_*.h, included only by their sources.
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
  // Rows of a tile that decodes: beside its sums, scale and minimum fit the registers.
  static constexpr size_t kTileRows = 2;

  // Levels [vec * kLanes, (vec + 1) * kLanes) of the run.
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V load(const std::byte* run, size_t vec) {
    float levels[V::kLanes];
    for (size_t lane = 0; lane < V::kLanes; ++lane) {
      levels[lane] = static_cast<float>(level<kBits>(run, vec * V::kLanes + lane));
    }
    return V::load(levels);
  }

  // The numbers that they stand for.
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE V decode(const std::byte* run, size_t vec, V scale, V minimum) {
    if constexpr (kBits == 8) return load<kBits>(run, vec) * scale;
    return V::mul_add(load<kBits>(run, vec), scale, minimum);
  }

 private:
  template <size_t kBits>
  static RUVLLM_ALWAYS_INLINE int32_t level(const std::byte* run, size_t index) {
    if constexpr (kBits == 8) return load_word<int8_t>(run + index);
    if constexpr (kBits == 4) {
      const uint32_t both = load_word<uint8_t>(run + index % 16);
      return static_cast<int32_t>(index < 16 ? both & 15u : both >> 4);
    }
    const uint32_t pair = load_word<uint8_t>(run + index / 4) >> (index % 4 * 2) & 3u;
    if constexpr (kBits == 2) return static_cast<int32_t>(pair);
    const uint32_t third = load_word<uint32_t>(run + 8) >> index & 1u;
    return static_cast<int32_t>(pair | third << 2);
  }
};

}  // namespace
}  // namespace ruvllm::kernels
