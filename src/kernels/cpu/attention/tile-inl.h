// The register tile of attention: a product of a few rows with a page, from binary16 or floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

constexpr size_t kMaxHeadDim = 256;

template <class V, class B>
RUVLLM_ALWAYS_INLINE V load_operand(const B* src) {
  if constexpr (sizeof(B) == sizeof(float)) {
    return V::load(src);
  } else {
    return V::load_f16(src);
  }
}

struct MemoryRange {
  const std::byte* begin;
  size_t num_bytes;
};

// Coming pages arrive from memory while this one is multiplied: their addresses are ones that the
// processor's own prefetchers cannot guess, and asking for all lines at once would stall, so every
// step of a tile asks for a little. Two distances, because the first-level cache has too few miss
// registers to cover the latency of memory: a page is brought into the second level first (8 to 21
// GB/s on one core), and from there into the first while the page before it is multiplied.
template <class V>
struct PageStream {
  const std::byte* next;
  const std::byte* far;
  size_t next_step, far_step;  // bytes

  PageStream(const MemoryRange& next_page, const MemoryRange& far_page, size_t num_steps)
      : next(next_page.begin),
        far(far_page.begin),
        next_step(next_page.num_bytes / num_steps),
        far_step(far_page.num_bytes / num_steps) {}
  RUVLLM_ALWAYS_INLINE void advance() {
    V::prefetch(next);
    V::prefetch_far(far);
    next += next_step;
    far += far_step;
  }
};

// Where the pass that made floats of the page has asked for the coming ones.
template <class V>
struct NoStream {
  RUVLLM_ALWAYS_INLINE void advance() {}
};

// sums[row][vec] += sum over k < depth of a[row][k] * b[k * b_stride + vec * kLanes ...].
template <size_t kRows, size_t kVecs, class V, class B, template <class> class Stream>
RUVLLM_ALWAYS_INLINE void multiply_tile(const float* const* a, const B* b, size_t b_stride,
                                        size_t depth, V (&sums)[kRows][kVecs],
                                        Stream<V>& stream) noexcept {
  Stream<V> local_stream = stream;
  for (size_t k = 0; k < depth; ++k, b += b_stride) {
    local_stream.advance();
    V left[kRows];
    for (size_t row = 0; row < kRows; ++row) left[row] = V::broadcast(a[row][k]);
    for (size_t vec = 0; vec < kVecs; ++vec) {
      const V right = load_operand<V>(b + vec * V::kLanes);
      for (size_t row = 0; row < kRows; ++row) {
        sums[row][vec] = V::mul_add(left[row], right, sums[row][vec]);
      }
      V::order_memory_after(sums[kRows - 1][vec]);
    }
  }
  stream = local_stream;
}

}  // namespace
}  // namespace ruvllm::kernels
