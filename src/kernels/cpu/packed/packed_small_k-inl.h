// Packed formats q2_K, q3_K and iq4_xs: see packed_formats-inl.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_formats-inl.h"
#include "tensor/blocks.h"
#include "tensor/iq/grids.h"

namespace ruvllm::kernels {
namespace {

// The products of levels of two bits and more, in the order of BlockQ2_K: sixteen groups of 16,
// each with a scale. upper(word, j, w) adds what a level has beyond the two bits; `word` counts
// the words of 32 levels, 0 to 7 within a half.
template <class V>
struct PackedTwoBits : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Int;

  template <size_t kNumX, int kBits, class Upper>
  static RUVLLM_ALWAYS_INLINE void add_levels(const uint8_t* words, int first_word,
                                              const Int (&scales)[16], const Upper& upper,
                                              const XRow* x, ptrdiff_t k, Int* isum) {
    const Int low2 = V::broadcast_byte(3);
#pragma GCC unroll 1
    for (int part = 0; part < 4; ++part) {  // 16 elements of each quarter of one half
      const int half = part / 2, group = part % 2;
      const auto quarters = [&](int j, Int(&w)[4]) RUVLLM_INLINE_LAMBDA {
        const Int bits = Base::word(words, first_word + 8 * half + 4 * group + j);
        w[0] = V::bit_and(bits, low2);
        w[1] = V::bit_and(V::template shift_right16<2>(bits), low2);
        w[2] = V::bit_and(V::template shift_right16<4>(bits), low2);
        w[3] = V::bit_and(V::template shift_right16<6>(bits), low2);
        upper(half, 4 * group + j, w);
      };
      const ptrdiff_t at = k + 128 * half + 16 * group;
      const int scale = 8 * half + group;
      Base::template add_group<kNumX, 4, kBits>(
          quarters, x, {at, at + 32, at + 64, at + 96},
          {scales[scale], scales[scale + 2], scales[scale + 4], scales[scale + 6]}, isum);
    }
  }

  // sum + 16 pairs of scales or minimums times the sums of x over 16.
  static RUVLLM_ALWAYS_INLINE Int sum_of_pairs(const Int (&pairs)[8], const int16_t* sums16) {
    Int sum = V::zero();
    for (int p = 0; p < 8; ++p) sum = V::add_pairs(sum, pairs[p], V::broadcast(sums16 + 2 * p));
    return sum;
  }
};

// 4-bit scales and minimums per 16 elements.
template <class V>
struct PackedQ2K : PackedTwoBits<V> {
  using Base = PackedTwoBits<V>;
  using typename PackedFormat<V>::Float;
  using typename PackedFormat<V>::Int;
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kWords = sizeof(BlockQ2_K) / 4;
  static constexpr int kHalfBytes = 0;
  static constexpr int kBitsWord = 4;
  static constexpr int kHeadersWord = 20;

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* /*halves*/,
                                             const XRow* x, int block_idx, Float* acc) {
    const Int low4 = V::broadcast_byte(0x0f);
    Int scales[16], mins[8];
    for (int i = 0; i < 4; ++i) {
      const Int both = Base::word(words, i);
      const Int low = V::bit_and(both, low4);
      const Int high = V::bit_and(V::template shift_right16<4>(both), low4);
      for (int b = 0; b < 4; ++b) scales[4 * i + b] = V::scale(low, b);
      mins[2 * i] = V::pair(high, 0);
      mins[2 * i + 1] = V::pair(high, 2);
    }
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
    const auto none = [](int, int, Int(&)[4]) RUVLLM_INLINE_LAMBDA {};
    Base::template add_levels<kNumX, 2>(words, kBitsWord, scales, none, x,
                                        static_cast<ptrdiff_t>(block_idx) * kSuperblock, isum);
    const Int headers = Base::word(words, kHeadersWord);
    const Float d = V::low_halves(headers), dmin = V::high_halves(headers);
    for (size_t i = 0; i < kNumX; ++i) {
      const int16_t* sums = x[i].sums16 + static_cast<ptrdiff_t>(block_idx) * 16;
      const float d_x = x[i].scales[block_idx];
      acc[i] = Base::add_term(d, d_x, isum[i], acc[i]);
      acc[i] = Base::subtract_term(dmin, d_x, Base::sum_of_pairs(mins, sums), acc[i]);
    }
  }
};

// Signed 6-bit scales per 16 elements; the offset 4 is taken off with the sums of x.
template <class V>
struct PackedQ3K : PackedTwoBits<V> {
  using Base = PackedTwoBits<V>;
  using typename PackedFormat<V>::Float;
  using typename PackedFormat<V>::Int;
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kWords = sizeof(BlockQ3_K) / 4;
  static constexpr int kHalfBytes = 2;
  static constexpr int kBitsWord = 8;
  static constexpr int kScalesWord = 24;

  // Scales 0 to 3, 4 to 7, ... of each row in the bytes of its lane.
  static RUVLLM_ALWAYS_INLINE void load_scales(const uint8_t* words, Int bytes[4]) {
    const Int low4 = V::broadcast_byte(0x0f), bits45 = V::broadcast_byte(0x30);
    const Int w0 = Base::word(words, kScalesWord), w1 = Base::word(words, kScalesWord + 1);
    const Int upper = Base::word(words, kScalesWord + 2);
    bytes[0] = V::select_or(V::template shift_left16<4>(upper), bits45, V::bit_and(w0, low4));
    bytes[1] = V::select_or(V::template shift_left16<2>(upper), bits45, V::bit_and(w1, low4));
    bytes[2] = V::select_or(upper, bits45, V::bit_and(V::template shift_right16<4>(w0), low4));
    bytes[3] = V::select_or(V::template shift_right16<2>(upper), bits45,
                            V::bit_and(V::template shift_right16<4>(w1), low4));
    for (int i = 0; i < 4; ++i) bytes[i] = V::subtract_bytes(bytes[i], V::broadcast_byte(32));
  }

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    const Int bit2 = V::broadcast_byte(4);
    Int bytes[4], scales[16], pairs[8];
    load_scales(words, bytes);
    for (int i = 0; i < 16; ++i) scales[i] = V::signed_scale(bytes[i / 4], i % 4);
    for (int i = 0; i < 8; ++i) pairs[i] = V::signed_pair(bytes[i / 2], 2 * (i % 2));
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
    const auto third_bit = [&](int half, int word, Int(&w)[4]) RUVLLM_INLINE_LAMBDA {
      const Int bits = V::shift_right(Base::word(words, word), 4 * half);
      w[0] = V::select_or(V::template shift_left16<2>(bits), bit2, w[0]);
      w[1] = V::select_or(V::template shift_left16<1>(bits), bit2, w[1]);
      w[2] = V::select_or(bits, bit2, w[2]);
      w[3] = V::select_or(V::template shift_right16<1>(bits), bit2, w[3]);
    };
    Base::template add_levels<kNumX, 3>(words, kBitsWord, scales, third_bit, x,
                                        static_cast<ptrdiff_t>(block_idx) * kSuperblock, isum);
    const Float d = V::load_halves(halves);
    for (size_t i = 0; i < kNumX; ++i) {
      const int16_t* sums = x[i].sums16 + static_cast<ptrdiff_t>(block_idx) * 16;
      const Int offset = V::template shift_left32<2>(Base::sum_of_pairs(pairs, sums));
      acc[i] = Base::add_term(d, x[i].scales[block_idx], V::subtract(isum[i], offset), acc[i]);
    }
  }
};

// Signed 6-bit scales per 32 elements; levels from a table, which a bias may make unsigned.
template <class V>
struct PackedIQ4XS : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kWords = sizeof(BlockIQ4_XS) / 4;
  static constexpr int kHalfBytes = 0;
  static constexpr int kNibblesWord = 2;

  // a | a << kBits where the mask is set
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int spread(Int a, int32_t mask) {
    return V::bit_and(V::bit_or(a, V::template shift_left32<kBits>(a)), V::broadcast_int(mask));
  }

  // Scales 0 to 3 and 4 to 7 of each row in the bytes of its lane.
  static RUVLLM_ALWAYS_INLINE void load_scales(const uint8_t* words, Int bytes[2]) {
    const Int low = Base::word(words, 1), headers = Base::word(words, 0);
    for (int i = 0; i < 2; ++i) {
      const Int nibbles = V::bit_and(V::shift_right(low, 16 * i), V::broadcast_int(0xffff));
      const Int bits = V::bit_and(V::shift_right(headers, 16 + 8 * i), V::broadcast_int(0xff));
      const Int low4 = spread<4>(spread<8>(nibbles, 0x00ff00ff), 0x0f0f0f0f);
      const Int high2 = spread<6>(spread<12>(bits, 0x000f000f), 0x03030303);
      const Int unsigned_scales = V::bit_or(low4, V::template shift_left32<4>(high2));
      bytes[i] = V::subtract_bytes(unsigned_scales, V::broadcast_byte(32));
    }
  }

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* /*halves*/,
                                             const XRow* x, int block_idx, Float* acc) {
    const Int low4 = V::broadcast_byte(0x0f);
    const Int bias = V::broadcast_byte(static_cast<char>(-V::kLevelBias));
    const Int table = V::subtract_bytes(V::load_table(kIq4Values), bias);
    Int bytes[2], scales[8];
    load_scales(words, bytes);
    for (int i = 0; i < 8; ++i) scales[i] = V::signed_scale(bytes[i / 4], i % 4);
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kSuperblock;
#pragma GCC unroll 1
    for (int group = 0; group < 8; ++group) {
      const auto quads = [&](int j, Int(&w)[1]) RUVLLM_INLINE_LAMBDA {
        Int nibbles = Base::word(words, kNibblesWord + 4 * group + j % 4);
        if (j >= 4) nibbles = V::template shift_right16<4>(nibbles);
        w[0] = V::look_up(table, V::bit_and(nibbles, low4));
      };
      Base::template add_group<kNumX, 8, 8>(quads, x, {k + 32 * group}, {scales[group]}, isum);
    }
    const Float d = V::low_halves(Base::word(words, 0));
    for (size_t i = 0; i < kNumX; ++i) {
      if constexpr (V::kLevelBias != 0) {
        static_assert(V::kLevelBias == 128);
        const int16_t* sums = x[i].sums32 + static_cast<ptrdiff_t>(block_idx) * 8;
        Int offset = V::zero();
        for (int p = 0; p < 4; ++p) {
          const Int pair = V::signed_pair(bytes[p / 2], 2 * (p % 2));
          offset = V::add_pairs(offset, pair, V::broadcast(sums + 2 * p));
        }
        isum[i] = V::subtract(isum[i], V::template shift_left32<7>(offset));
      }
      acc[i] = Base::add_term(d, x[i].scales[block_idx], isum[i], acc[i]);
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
