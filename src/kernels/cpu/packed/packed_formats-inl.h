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
//   Sum                          products of one scale added up, where that is not an Int
//   kMaxX                        rows of x in a register tile
//   kMaxSums                     Sums that a tile may keep in registers at a time
//   kPrefetchMinX, kPrefetchMinX16
//                                rows of x from which a tile fetches words ahead; with a scale for
//                                each 16 elements
//   kDecodeMinX                  rows of x from which superblocks whose levels cost much are taken
//                                apart once for all tiles; fewer keep memory busy all the time
//   kStartsSums                  Sums are int32 and may begin with any number
//   max_quads(bits)              quads of k that one Sum holds, for weights below 2^bits
//   add_products(sum, first, u8, s8)
//                                sum + the products of four bytes in each lane; without `sum` if
//                                `first`
//   Quads, kQuadsPerLoad, load_quads(p)
//                                where products take an operand of several quads of x and the
//                                index of one: add_products(sum, first, u8, quads, index)
//   LevelSum                     what add_level_products makes, where that is not a Sum
//   word_sums(words), products_q16(words, sums, q16)
//                                where 16-bit x is multiplied in another way than by add_pairs: 32
//                                signed bytes in eight words times q16; sums serve all x
//   add_scaled(isum, sum, scale) isum + scale * sum
//   widen(sum)                   a Sum of scale one as int32
//   kLevelBias                   is added to signed bytes before add_level_products takes them
//   add_level_products(sum, first, levels, s8)
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
//
// and the usual names for the rest. Everything has internal linkage, as in vec.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/x_row.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

constexpr size_t kPackedVectorBytes = 4 * kSliceRows;  // from one word to the next

template <class V>
struct SumOf {
  using Type = typename V::Int;
};
template <class V>
  requires requires { typename V::Sum; }
struct SumOf<V> {
  using Type = typename V::Sum;
};

template <class V>
concept HasLevelSums = requires { typename V::LevelSum; };
template <class V, int kBits>
struct SumOfBits : SumOf<V> {};
template <class V>
  requires HasLevelSums<V>
struct SumOfBits<V, 8> {
  using Type = typename V::LevelSum;
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
  static RUVLLM_ALWAYS_INLINE typename SumOfBits<V, 8>::Type add_level_products(
      typename SumOfBits<V, 8>::Type sum, bool first, typename V::Int levels, typename V::Int s8,
      int /*index*/) {
    return V::add_level_products(sum, first, levels, s8);
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
  static RUVLLM_ALWAYS_INLINE typename SumOfBits<V, 8>::Type add_level_products(
      typename SumOfBits<V, 8>::Type sum, bool first, typename V::Int levels, typename V::Quads s8,
      int index) {
    return V::add_level_products(sum, first, levels, s8, index);
  }
};

struct NoStarts {};

// One row of x without prefetches: the hardware follows a slice's linear stream better by itself
// (Zen 4: 27 to 31 GB/s a core of 30; 14 to 22 with a prefetch for each load).
template <class V>
struct PackedFormat {
  using Int = typename V::Int;
  using Float = typename V::Float;
  using Sum = typename SumOf<V>::Type;
  using Quads = QuadsOf<V>;

  static RUVLLM_ALWAYS_INLINE Int word(const uint8_t* words, int index) {
    return V::load(words + static_cast<size_t>(index) * kPackedVectorBytes);
  }
  // Fetches what lies ahead of some bytes of a slice by as much as a core reads in the time that
  // memory takes to answer, whether or not it belongs to the matrix. With so many rows of x that
  // loads come slower than memory could answer, the hardware's prefetcher falls behind as well. One
  // line of ten that is left out costs all the gain.
  template <size_t kNumX, size_t kMinX = V::kPrefetchMinX>
  static RUVLLM_ALWAYS_INLINE void prefetch(const uint8_t* from, size_t num_bytes) {
    if constexpr (kNumX >= kMinX) {
      constexpr size_t kAhead = 8192, kLine = 64;
      for (size_t i = 0; i < num_bytes; i += kLine) {
        __builtin_prefetch(from + kAhead + i, /*rw=*/0, /*locality=*/2);
      }
    }
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
  // left out by the compiler. 8 bits: signed levels with V's bias. starts: NoStarts, or
  // starts(i, stream) is added to the products of row i of x before the scale is applied.
  template <size_t kNumX, int kQuads, int kBits, size_t kStreams, class Weights, class Starts>
  static RUVLLM_ALWAYS_INLINE void add_group(const Weights& weights, const XRow* x,
                                             const ptrdiff_t (&k)[kStreams],
                                             const Int (&scales)[kStreams], const Starts& starts,
                                             Int* isum) {
    constexpr int kStep = V::max_quads(kBits) < kQuads ? V::max_quads(kBits) : kQuads;
    if constexpr (kStep <= 2) {
      add_short_sums<kNumX, kQuads, kBits, kStep>(weights, x, k, scales, isum);
    } else {
      add_long_sums<kNumX, kQuads, kBits, kStep>(weights, x, k, scales, starts, isum);
    }
  }

 private:
  // As many streams as the registers hold sums for.
  static constexpr size_t streams_of_pass(size_t streams, size_t num_x) {
    while (streams > 1 && streams * num_x > V::kMaxSums) streams /= 2;
    return streams;
  }

  template <int kBits, class AnySum, class X>
  static RUVLLM_ALWAYS_INLINE AnySum add_products(AnySum sum, bool first, Int levels, X q8,
                                                  int index) {
    if constexpr (kBits == 8) {
      return Quads::add_level_products(sum, first, levels, q8, index);
    } else {
      return Quads::add_products(sum, first, levels, q8, index);
    }
  }

  // The sums of all rows of x wait in registers.
  template <size_t kNumX, int kQuads, int kBits, int kStep, size_t kStreams, class Weights,
            class Starts>
  static RUVLLM_ALWAYS_INLINE void add_long_sums(const Weights& weights, const XRow* x,
                                                 const ptrdiff_t (&k)[kStreams],
                                                 const Int (&scales)[kStreams],
                                                 const Starts& starts, Int* isum) {
    constexpr bool kHasStarts = !std::is_same_v<Starts, NoStarts>;
    static_assert(kStep % Quads::kPerLoad == 0 && (kStep == kQuads || !kHasStarts));
    constexpr size_t kPass = streams_of_pass(kStreams, kNumX);
#pragma GCC unroll 4
    for (size_t stream = 0; stream < kStreams; stream += kPass) {
      // Left to itself clang begins the sums of all passes with the first and spills them.
      if (stream != 0) asm volatile("" ::: "memory");
#pragma GCC unroll 8
      for (int first = 0; first < kQuads; first += kStep) {
        typename SumOfBits<V, kBits>::Type sums[kPass][kNumX];
        if constexpr (kHasStarts) {
          for (size_t i = 0; i < kNumX; ++i) {
            for (size_t s = 0; s < kPass; ++s) sums[s][i] = starts(i, stream + s);
          }
        }
#pragma GCC unroll 8
        for (int j = first; j < first + kStep; j += Quads::kPerLoad) {
          Int w[Quads::kPerLoad][kStreams];
          for (int q = 0; q < Quads::kPerLoad; ++q) weights(j + q, w[q]);
          for (size_t i = 0; i < kNumX; ++i) {
            for (size_t s = 0; s < kPass; ++s) {
              const auto q8 = Quads::load(x[i].q8 + k[stream + s] + 4 * j);
              for (int q = 0; q < Quads::kPerLoad; ++q) {
                const bool is_first = !kHasStarts && j + q == first;
                sums[s][i] = add_products<kBits>(sums[s][i], is_first, w[q][stream + s], q8, q);
              }
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
    static_assert(Quads::kPerLoad == 1);
#pragma GCC unroll 8
    for (int first = 0; first < kQuads; first += kStep) {
#pragma GCC unroll 4
      for (size_t s = 0; s < kStreams; ++s) {
        Int w[static_cast<size_t>(kStep)][kStreams];
        for (int j = 0; j < kStep; ++j) weights(first + j, w[j]);
        for (size_t i = 0; i < kNumX; ++i) {
          Sum sum = {};
          for (int j = 0; j < kStep; ++j) {
            const auto q8 = Quads::load(x[i].q8 + k[s] + 4 * (first + j));
            sum = add_products<kBits>(sum, j == 0, w[j][s], q8, 0);
          }
          isum[i] = V::add_scaled(isum[i], sum, scales[s]);
        }
      }
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
