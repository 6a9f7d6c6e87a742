// The block products of packed weights (packed_layout.h), written once for all vector types.
//
// A Format adds one block of V::kLanes weight rows times kNumX rows of x to acc[x], lane = row,
// by the integer sums and the float chain of matmul.h:
//
//   kBlockElements, kGroupElements   columns of a block; activations per float scale
//   kWords, kHasHalf                 as in the type's PackedLayout
//   add_block<kNumX>(words, halves, x, block_idx, acc)
//
// V is the instruction set's:
//
//   Int, Float, kLanes           registers of lanes of 32 bits; kLanes divides 16
//   Sum                          products of one scale added up, where that is not an Int
//   kMaxX                        rows of x in a register tile
//   max_quads(bits)              quads of k that one Sum holds, for weights below 2^bits
//   add_products(sum, first, u8, s8)
//                                sum + the products of four bytes in each lane; without `sum` if
//                                `first`
//   Quads, kQuadsPerLoad, load_quads(p)
//                                where products take an operand of several quads of x and the
//                                index of one: add_products(sum, first, u8, quads, index)
//   add_scaled(isum, sum, scale) isum + scale * sum
//   widen(sum)                   a Sum of scale one as int32
//   scale(words, i), signed_scale(words, i)
//                                byte i of each lane as add_scaled wants it
//   pair(words, i), signed_pair(words, i)
//                                bytes i and i + 1 of each lane as two int16
//   add_pairs(isum, a, b)        isum + products of two int16 in each lane
//   even_bytes(words), odd_bytes(words)
//                                bytes 0 and 2, 1 and 3 of each lane as signed int16
//   prefetch(p)                  the second-level cache will soon be asked for the line of p
//
// and the usual names for the rest. Everything has internal linkage, as in vec.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/x_row.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

constexpr size_t kPackedVectorBytes = 4 * kSliceRows;  // from one word to the next

// Measured on Zen 4: the hardware follows the linear stream of q4_K by itself (50 of 60 GB/s, 43
// with prefetches), those of the other types hardly (q6_K 19 GB/s, 38 with prefetches). One
// prefetch for each load does better than those of a block in one go, and the second-level cache,
// with its many outstanding misses, better than the first.
constexpr size_t kPrefetchBytes = 8192;

template <class V>
struct SumOf {
  using Type = typename V::Int;
};
template <class V>
  requires requires { typename V::Sum; }
struct SumOf<V> {
  using Type = typename V::Sum;
};

// Quads of x in the form in which products take them: one in all lanes, or several in a vector.
template <class V>
struct QuadsOf {
  static constexpr int kPerLoad = 1;
  static RUVLLM_ALWAYS_INLINE typename V::Int load(const int8_t* q8) { return V::broadcast(q8); }
  static RUVLLM_ALWAYS_INLINE typename SumOf<V>::Type add_products(typename SumOf<V>::Type sum,
                                                                   bool first, typename V::Int u8,
                                                                   typename V::Int s8,
                                                                   int /*index*/) {
    return V::add_products(sum, first, u8, s8);
  }
};
template <class V>
  requires requires { typename V::Quads; }
struct QuadsOf<V> {
  static constexpr int kPerLoad = V::kQuadsPerLoad;
  static RUVLLM_ALWAYS_INLINE typename V::Quads load(const int8_t* q8) { return V::load_quads(q8); }
  static RUVLLM_ALWAYS_INLINE typename SumOf<V>::Type add_products(typename SumOf<V>::Type sum,
                                                                   bool first, typename V::Int u8,
                                                                   typename V::Quads s8,
                                                                   int index) {
    return V::add_products(sum, first, u8, s8, index);
  }
};

template <class V, bool kPrefetches = true>
struct PackedFormat {
  using Int = typename V::Int;
  using Float = typename V::Float;
  using Sum = typename SumOf<V>::Type;
  using Quads = QuadsOf<V>;

  static RUVLLM_ALWAYS_INLINE Int word(const uint8_t* words, int index) {
    const uint8_t* at = words + static_cast<size_t>(index) * kPackedVectorBytes;
    if constexpr (kPrefetches) V::prefetch(at + kPrefetchBytes);
    return V::load(at);
  }
  // acc + (d * d_x) * float(isum)
  static RUVLLM_ALWAYS_INLINE Float add_term(Float d, float d_x, Int isum, Float acc) {
    return V::mul_add(V::mul(d, V::broadcast_float(d_x)), V::to_float(isum), acc);
  }
  static RUVLLM_ALWAYS_INLINE Float subtract_term(Float d, float d_x, Int isum, Float acc) {
    return V::negative_mul_add(V::mul(d, V::broadcast_float(d_x)), V::to_float(isum), acc);
  }
  // sums[stream][x] of kQuads quads with kBits bits, added scaled to isum[x].
  template <size_t kNumX, int kQuads, int kBits, size_t kStreams, class Weights>
  static RUVLLM_ALWAYS_INLINE void add_group(const Weights& weights, const XRow* x,
                                             const ptrdiff_t (&k)[kStreams],
                                             const Int (&scales)[kStreams], Int* isum) {
    constexpr int kStep = V::max_quads(kBits) < kQuads ? V::max_quads(kBits) : kQuads;
    for (int first = 0; first < kQuads; first += kStep) {
      static_assert(kStep % Quads::kPerLoad == 0);
      Sum sums[kStreams][kNumX];
#pragma GCC unroll 8
      for (int j = first; j < first + kStep; j += Quads::kPerLoad) {
        Int w[Quads::kPerLoad][kStreams];
        for (int q = 0; q < Quads::kPerLoad; ++q) weights(j + q, w[q]);
        for (size_t i = 0; i < kNumX; ++i) {
          for (size_t s = 0; s < kStreams; ++s) {
            const auto q8 = Quads::load(x[i].q8 + k[s] + 4 * j);
            for (int q = 0; q < Quads::kPerLoad; ++q) {
              sums[s][i] = Quads::add_products(sums[s][i], j + q == first, w[q][s], q8, q);
            }
          }
        }
      }
      for (size_t i = 0; i < kNumX; ++i) {
        for (size_t s = 0; s < kStreams; ++s) {
          isum[i] = V::add_scaled(isum[i], sums[s][i], scales[s]);
        }
      }
    }
  }
};

// q4_K, and q5_K with a fifth bit: 6-bit scales and minimums per 32 elements.
template <class V, bool kHasFifthBit>
struct PackedQ45K : PackedFormat<V, kHasFifthBit> {
  using Base = PackedFormat<V, kHasFifthBit>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kWords = (kHasFifthBit ? sizeof(BlockQ5_K) : sizeof(BlockQ4_K)) / 4;
  static constexpr bool kHasHalf = false;
  static constexpr int kHighBitsWord = 4;
  static constexpr int kNibblesWord = kHasFifthBit ? 12 : 4;

  // Words 1 to 3 hold 8 scales and 8 minimums: the lower four of each in six bits of words 1 and 2,
  // the upper four in four bits of word 3 and the two bits above the six.
  static RUVLLM_ALWAYS_INLINE void load_scales(const uint8_t* words, Int scales[8], Int mins[4]) {
    const Int w1 = Base::word(words, 1), w2 = Base::word(words, 2), w3 = Base::word(words, 3);
    const Int low6 = V::broadcast_byte(0x3f), low4 = V::broadcast_byte(0x0f);
    const Int bits45 = V::broadcast_byte(0x30);
    const Int scales_low = V::bit_and(w1, low6);
    const Int mins_low = V::bit_and(w2, low6);
    const Int scales_high =
        V::bit_or(V::bit_and(w3, low4), V::bit_and(V::template shift_right16<2>(w1), bits45));
    const Int mins_high = V::bit_or(V::bit_and(V::template shift_right16<4>(w3), low4),
                                    V::bit_and(V::template shift_right16<2>(w2), bits45));
    for (int i = 0; i < 4; ++i) {
      scales[i] = V::scale(scales_low, i);
      scales[4 + i] = V::scale(scales_high, i);
    }
    for (int i = 0; i < 2; ++i) {
      mins[i] = V::pair(mins_low, 2 * i);
      mins[2 + i] = V::pair(mins_high, 2 * i);
    }
  }

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* /*halves*/,
                                             const XRow* x, int block_idx, Float* acc) {
    constexpr int kBits = kHasFifthBit ? 5 : 4;
    const Int low4 = V::broadcast_byte(0x0f), bit4 = V::broadcast_byte(0x10);
    Int scales[8], mins[4];
    load_scales(words, scales, mins);
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kSuperblock;
#pragma GCC unroll 1
    for (int c = 0; c < 4; ++c) {
      const auto weights = [&](int j, Int(&w)[2]) RUVLLM_INLINE_LAMBDA {
        const Int nibbles = Base::word(words, kNibblesWord + 8 * c + j);
        w[0] = V::bit_and(nibbles, low4);
        w[1] = V::bit_and(V::template shift_right16<4>(nibbles), low4);
        if constexpr (kHasFifthBit) {
          const Int bits = V::shift_right(Base::word(words, kHighBitsWord + j), 2 * c);
          w[0] = V::select_or(V::template shift_left16<4>(bits), bit4, w[0]);
          w[1] = V::select_or(V::template shift_left16<3>(bits), bit4, w[1]);
        }
      };
      Base::template add_group<kNumX, 8, kBits>(weights, x, {k + 64 * c, k + 64 * c + 32},
                                                {scales[2 * c], scales[2 * c + 1]}, isum);
    }
    const Int headers = Base::word(words, 0);
    const Float d = V::low_halves(headers), dmin = V::high_halves(headers);
    for (size_t i = 0; i < kNumX; ++i) {
      const int16_t* sums = x[i].sums32 + static_cast<ptrdiff_t>(block_idx) * 8;
      Int msum = V::zero();
      for (int p = 0; p < 4; ++p) msum = V::add_pairs(msum, mins[p], V::broadcast(sums + 2 * p));
      const float d_x = x[i].scales[block_idx];
      acc[i] = Base::add_term(d, d_x, isum[i], acc[i]);
      acc[i] = Base::subtract_term(dmin, d_x, msum, acc[i]);
    }
  }
};

// q6_K: signed 8-bit scales per 16 elements; the offset 32 is taken off with the sums of x.
template <class V>
struct PackedQ6K : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kWords = sizeof(BlockQ6_K) / 4;
  static constexpr bool kHasHalf = true;
  static constexpr int kHighBitsWord = 32;
  static constexpr int kScalesWord = 48;

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    const Int low4 = V::broadcast_byte(0x0f), bits45 = V::broadcast_byte(0x30);
    Int scales[16], scale_pairs[8];
    for (int i = 0; i < 16; ++i) {
      scales[i] = V::signed_scale(Base::word(words, kScalesWord + i / 4), i % 4);
    }
    for (int i = 0; i < 8; ++i) {
      scale_pairs[i] = V::signed_pair(Base::word(words, kScalesWord + i / 2), 2 * (i % 2));
    }
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kSuperblock;
#pragma GCC unroll 1
    for (int part = 0; part < 4; ++part) {  // 16 elements of each quarter of one half
      const int half = part / 2, group = part % 2;
      const int low_word = 16 * half + 4 * group;
      const int high_word = kHighBitsWord + 8 * half + 4 * group;
      const int scale = 8 * half + group;
      const ptrdiff_t at = k + 128 * half + 16 * group;
      const auto quarters_0_2 = [&](int j, Int(&w)[2]) RUVLLM_INLINE_LAMBDA {
        const Int low = Base::word(words, low_word + j), high = Base::word(words, high_word + j);
        w[0] = V::select_or(V::template shift_left16<4>(high), bits45, V::bit_and(low, low4));
        w[1] = V::select_or(high, bits45, V::bit_and(V::template shift_right16<4>(low), low4));
      };
      const auto quarters_1_3 = [&](int j, Int(&w)[2]) RUVLLM_INLINE_LAMBDA {
        const Int low = Base::word(words, low_word + 8 + j);
        const Int high = Base::word(words, high_word + j);
        w[0] = V::select_or(V::template shift_left16<2>(high), bits45, V::bit_and(low, low4));
        w[1] = V::select_or(V::template shift_right16<2>(high), bits45,
                            V::bit_and(V::template shift_right16<4>(low), low4));
      };
      Base::template add_group<kNumX, 4, 6>(quarters_0_2, x, {at, at + 64},
                                            {scales[scale], scales[scale + 4]}, isum);
      Base::template add_group<kNumX, 4, 6>(quarters_1_3, x, {at + 32, at + 96},
                                            {scales[scale + 2], scales[scale + 6]}, isum);
    }
    const Float d = V::load_halves(halves);
    for (size_t i = 0; i < kNumX; ++i) {
      const int16_t* sums = x[i].sums16 + static_cast<ptrdiff_t>(block_idx) * 16;
      Int offset = V::zero();
      for (int p = 0; p < 8; ++p) {
        offset = V::add_pairs(offset, scale_pairs[p], V::broadcast(sums + 2 * p));
      }
      const Int sum = V::subtract(isum[i], V::template shift_left32<5>(offset));
      acc[i] = Base::add_term(d, x[i].scales[block_idx], sum, acc[i]);
    }
  }
};

// q4_0: the offset 8 is taken off with the sums of x.
template <class V>
struct PackedQ4_0 : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  using typename Base::Quads;
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kWords = 4;
  static constexpr bool kHasHalf = true;

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    static_assert(V::max_quads(4) >= 8);
    const Int low4 = V::broadcast_byte(0x0f);
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    typename Base::Sum sums[kNumX];
    for (int j = 0; j < 4; j += Quads::kPerLoad) {
      Int low[Quads::kPerLoad], high[Quads::kPerLoad];
      for (int q = 0; q < Quads::kPerLoad; ++q) {
        const Int nibbles = Base::word(words, j + q);
        low[q] = V::bit_and(nibbles, low4);
        high[q] = V::bit_and(V::template shift_right16<4>(nibbles), low4);
      }
      for (size_t i = 0; i < kNumX; ++i) {
        const auto x_low = Quads::load(x[i].q8 + k + 4 * j);
        const auto x_high = Quads::load(x[i].q8 + k + 4 * j + 16);
        for (int q = 0; q < Quads::kPerLoad; ++q) {
          sums[i] = Quads::add_products(sums[i], j + q == 0, low[q], x_low, q);
          sums[i] = Quads::add_products(sums[i], false, high[q], x_high, q);
        }
      }
    }
    const Float d = V::load_halves(halves);
    for (size_t i = 0; i < kNumX; ++i) {
      const Int isum = V::subtract(V::widen(sums[i]), V::broadcast_int(8 * x[i].sums32[block_idx]));
      acc[i] = Base::add_term(d, x[i].scales[block_idx], isum, acc[i]);
    }
  }
};

// q8_0 with 16-bit activations.
template <class V>
struct PackedQ8_0 : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kWords = 8;
  static constexpr bool kHasHalf = true;

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
#pragma GCC unroll 8
    for (int j = 0; j < kWords; ++j) {  // the packer has swapped the middle bytes
      const Int bytes = Base::word(words, j);
      const Int first = V::even_bytes(bytes), second = V::odd_bytes(bytes);
      for (size_t i = 0; i < kNumX; ++i) {
        const int16_t* q16 = x[i].q16 + k + 4 * j;
        isum[i] = V::add_pairs(isum[i], first, V::broadcast(q16));
        isum[i] = V::add_pairs(isum[i], second, V::broadcast(q16 + 2));
      }
    }
    const Float d = V::load_halves(halves);
    for (size_t i = 0; i < kNumX; ++i) {
      acc[i] = Base::add_term(d, x[i].scales[block_idx], isum[i], acc[i]);
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
