// The block products of packed weights (packed_layout.h), written once for all vector types.
//
// A Format adds one block of V::kLanes weight rows times kNumX rows of x to acc[x], lane = row,
// by the integer sums and the float chain of matmul.h:
//
//   kBlockElements, kGroupElements   columns of a block; activations per float scale
//   kWords, kHalfBytes               as in the type's PackedLayout; 0: no half
//   add_block<kNumX>(words, halves, x, block_idx, acc)
//
// V is the instruction set's:
//
//   Int, Float, kLanes           registers of lanes of 32 bits; kLanes divides 16
//   kMaxX                        rows of x in a register tile
//   kMaxSums                     Sums that a tile may keep in registers at a time
//   max_quads(bits)              quads of k that one Sum holds, for weights below 2^bits
//   add_products(sum, first, u8, s8)
//                                sum + the products of four bytes in each lane; without `sum` if
//                                `first`
//   add_scaled(isum, sum, scale) isum + scale * sum
//   widen(sum)                   a Sum of scale one as int32
//   kLevelBias                   what is added to signed levels below 2^7 before they are
//   multiplied add_level_products(sum, first, levels, s8)
//                                as add_products for such levels; max_quads(8) says how many
//   or_fifth_bits(levels, bits, quad)
//                                16 added to level i if bit 4 * quad + i of the lane is set
//   load_table(bytes), look_up(table, indices)
//                                table[index] for each byte
//   load_halves(p), low_halves(words), high_halves(words)
//                                binary16 values as floats
//   load_exponents(p)            2^(e - 128) for each byte e
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

template <class V, bool kPrefetches = true>
struct PackedFormat {
  using Int = typename V::Int;
  using Float = typename V::Float;

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
  // isum[x] += scales[stream] * the products of kQuads quads with kBits bits of each stream, from
  // element k[stream] on. weights(j, w) gives quad j of all streams; what a pass has no use of is
  // left out by the compiler. 8 bits: signed levels with V's bias.
  template <size_t kNumX, int kQuads, int kBits, size_t kStreams, class Weights>
  static RUVLLM_ALWAYS_INLINE void add_group(const Weights& weights, const XRow* x,
                                             const ptrdiff_t (&k)[kStreams],
                                             const Int (&scales)[kStreams], Int* isum) {
    constexpr int kStep = V::max_quads(kBits) < kQuads ? V::max_quads(kBits) : kQuads;
    if constexpr (kStep <= 2) {
      add_short_sums<kNumX, kQuads, kBits, kStep>(weights, x, k, scales, isum);
    } else {
      add_long_sums<kNumX, kQuads, kBits, kStep>(weights, x, k, scales, isum);
    }
  }

 private:
  // As many streams as the registers hold sums for.
  static constexpr size_t streams_of_pass(size_t streams, size_t num_x) {
    while (streams > 1 && streams * num_x > V::kMaxSums) streams /= 2;
    return streams;
  }

  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int add_products(Int sum, bool first, Int levels, Int q8) {
    if constexpr (kBits == 8) {
      return V::add_level_products(sum, first, levels, q8);
    } else {
      return V::add_products(sum, first, levels, q8);
    }
  }

  // The sums of all rows of x wait in registers.
  template <size_t kNumX, int kQuads, int kBits, int kStep, size_t kStreams, class Weights>
  static RUVLLM_ALWAYS_INLINE void add_long_sums(const Weights& weights, const XRow* x,
                                                 const ptrdiff_t (&k)[kStreams],
                                                 const Int (&scales)[kStreams], Int* isum) {
    constexpr size_t kPass = streams_of_pass(kStreams, kNumX);
#pragma GCC unroll 4
    for (size_t stream = 0; stream < kStreams; stream += kPass) {
#pragma GCC unroll 8
      for (int first = 0; first < kQuads; first += kStep) {
        Int sums[kPass][kNumX];
#pragma GCC unroll 8
        for (int j = first; j < first + kStep; ++j) {
          Int w[kStreams];
          weights(j, w);
          for (size_t i = 0; i < kNumX; ++i) {
            for (size_t s = 0; s < kPass; ++s) {
              const Int q8 = V::broadcast(x[i].q8 + k[stream + s] + 4 * j);
              sums[s][i] = add_products<kBits>(sums[s][i], j == first, w[stream + s], q8);
            }
          }
        }
        for (size_t i = 0; i < kNumX; ++i) {
          for (size_t s = 0; s < kPass; ++s) {
            isum[i] = V::add_scaled(isum[i], sums[s][i], scales[stream + s]);
          }
        }
      }
    }
  }

  // Sums of one or two quads: the weights wait in registers, and so does isum.
  template <size_t kNumX, int kQuads, int kBits, int kStep, size_t kStreams, class Weights>
  static RUVLLM_ALWAYS_INLINE void add_short_sums(const Weights& weights, const XRow* x,
                                                  const ptrdiff_t (&k)[kStreams],
                                                  const Int (&scales)[kStreams], Int* isum) {
#pragma GCC unroll 8
    for (int first = 0; first < kQuads; first += kStep) {
#pragma GCC unroll 4
      for (size_t s = 0; s < kStreams; ++s) {
        Int w[kStep][kStreams];
        for (int j = 0; j < kStep; ++j) weights(first + j, w[j]);
        for (size_t i = 0; i < kNumX; ++i) {
          Int sum = {};
          for (int j = 0; j < kStep; ++j) {
            const Int q8 = V::broadcast(x[i].q8 + k[s] + 4 * (first + j));
            sum = add_products<kBits>(sum, j == 0, w[j][s], q8);
          }
          isum[i] = V::add_scaled(isum[i], sum, scales[s]);
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
  static constexpr int kHalfBytes = 0;
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
  static constexpr int kHalfBytes = 2;
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

}  // namespace
}  // namespace ruvllm::kernels
