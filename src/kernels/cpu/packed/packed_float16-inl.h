// Packed f16 and bf16 for the grouped products of matmul.h: see packed_formats-inl.h. Both have the
// same format once they are rounded, which happens when slices are packed.
//
// V also has
//   max_magnitudes(a, words)   in each half of a lane the larger of a and twice |half of words|,
//                              as unsigned bits
//   rounding<kIsBf16>(maxima, steps)
//                              what round_pairs adds, for such maxima of a group; its steps go to
//                              the bytes `steps`, one for each lane
//   round_pairs<kIsBf16>(words, rounding)
//                              both halves of each lane as int16
//   load_steps(bytes)          2^(byte - 128), NaN for 0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_formats-inl.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/vec.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

template <class V>
concept HasRoundedPairs = requires { &V::max_magnitudes; };

template <class V>
struct PackedFloat16 : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kWords = kBlock32 / 2;
  static constexpr int kHalfBytes = 1;
  static constexpr int kChunkElements = 512;  // 16.25 KiB of weights
  static constexpr bool kPrefetchesRows = true;

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
#pragma GCC unroll 16
    for (int j = 0; j < kWords; ++j) {
      const Int pairs = Base::word(words, j);
      for (size_t i = 0; i < kNumX; ++i) {
        isum[i] = V::add_pairs(isum[i], pairs, V::broadcast(x[i].q16 + k + 2 * j));
      }
    }
    const Float d = V::load_steps(halves);
    for (size_t i = 0; i < kNumX; ++i) {
      acc[i] = Base::add_term(d, x[i].scales[block_idx], isum[i], acc[i]);
    }
  }
};

// The second half of packing: the words of a group of 16 rows, which hold the file's bits, become
// pairs of rounded weights.
template <class V, bool kIsBf16>
RUVLLM_ALWAYS_INLINE void round_block(uint8_t* words, uint8_t* steps) {
  constexpr size_t kWords = kBlock32 / 2;
  for (size_t lane = 0; lane < kSliceRows; lane += V::kLanes) {
    uint8_t* const first = words + 4 * lane;
    typename V::Int maxima = V::zero();
    for (size_t j = 0; j < kWords; ++j) {
      maxima = V::max_magnitudes(maxima, V::load(first + j * kPackedVectorBytes));
    }
    const auto rounding = V::template rounding<kIsBf16>(maxima, steps + lane);
    for (size_t j = 0; j < kWords; ++j) {
      uint8_t* const at = first + j * kPackedVectorBytes;
      V::store(at, V::template round_pairs<kIsBf16>(V::load(at), rounding));
    }
  }
}

template <class V>
RUVLLM_ALWAYS_INLINE void round_slice(const PackedLayout& layout, int32_t num_blocks,
                                      std::byte* slice) {
  auto* bytes = reinterpret_cast<uint8_t*>(slice);
  for (int32_t b = 0; b < num_blocks; ++b) {
    const BlockPlace place = place_of_block(layout, num_blocks, b);
    if (layout.rounding == FloatRounding::kBF16) {
      round_block<V, true>(bytes + place.words, bytes + place.halves);
    } else {
      round_block<V, false>(bytes + place.words, bytes + place.halves);
    }
  }
}

}  // namespace
}  // namespace ruvllm::kernels
