// Packed formats of blocks of 32: see packed_formats-inl.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_formats-inl.h"
#include "tensor/blocks.h"
#include "tensor/iq/grids.h"

namespace ruvllm::kernels {
namespace {

// Levels of 4 or 5 bits; 8-bit activations.
struct NibbleBlock {
  int num_words;
  int half_bytes;  // of the scale; 0: d and m are the first word
  bool has_fifth_bit = false;
  bool is_mxfp4 = false;
  int offset = 0;  // weight = d * (level - offset)

  constexpr int nibbles_word() const { return num_words - 4; }
  constexpr int fifth_bits_word() const { return num_words - 5; }
  constexpr bool has_min() const { return half_bytes == 0; }
  constexpr int level_bits() const { return has_fifth_bit || is_mxfp4 ? 5 : 4; }
};

constexpr NibbleBlock kNibblesQ4_0 = {.num_words = 4, .half_bytes = 2, .offset = 8};
constexpr NibbleBlock kNibblesQ4_1 = {.num_words = 5, .half_bytes = 0};
constexpr NibbleBlock kNibblesQ5_0 = {
    .num_words = 5, .half_bytes = 2, .has_fifth_bit = true, .offset = 16};
constexpr NibbleBlock kNibblesQ5_1 = {.num_words = 6, .half_bytes = 0, .has_fifth_bit = true};
constexpr NibbleBlock kNibblesMXFP4 = {
    .num_words = 4, .half_bytes = 1, .is_mxfp4 = true, .offset = 12};

template <class V, NibbleBlock kBlock>
struct PackedNibbles : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  using typename Base::Quads;
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kWords = kBlock.num_words;
  static constexpr int kHalfBytes = kBlock.half_bytes;

  // The levels of elements 4 * j to 4 * j + 3 and of those 16 further on.
  static RUVLLM_ALWAYS_INLINE void load_levels(const uint8_t* words, int j, Int levels[2]) {
    const Int low4 = V::broadcast_byte(0x0f);
    const Int nibbles = Base::word(words, kBlock.nibbles_word() + j);
    levels[0] = V::bit_and(nibbles, low4);
    levels[1] = V::bit_and(V::template shift_right16<4>(nibbles), low4);
    if constexpr (kBlock.is_mxfp4) {
      const Int table =
          V::subtract_bytes(V::load_table(kMxfp4Values), V::broadcast_byte(-kBlock.offset));
      levels[0] = V::look_up(table, levels[0]);
      levels[1] = V::look_up(table, levels[1]);
    }
    if constexpr (kBlock.has_fifth_bit) {
      const Int bits = Base::word(words, kBlock.fifth_bits_word());
      levels[0] = V::or_fifth_bits(levels[0], bits, j);
      levels[1] = V::or_fifth_bits(levels[1], bits, 4 + j);
    }
  }

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    constexpr int kStep = V::max_quads(kBlock.level_bits()) < 8 ? 2 : 4;  // words
    static_assert(2 * kStep <= V::max_quads(kBlock.level_bits()) && kStep % Quads::kPerLoad == 0);
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    Base::template prefetch<kNumX>(words, kWords * kPackedVectorBytes);
    Base::template prefetch<kNumX>(halves, kHalfBytes);
    Int isum[kNumX];
#pragma GCC unroll 2
    for (int first = 0; first < 4; first += kStep) {
      typename Base::Sum sums[kNumX];
#pragma GCC unroll 4
      for (int j = first; j < first + kStep; j += Quads::kPerLoad) {
        Int levels[Quads::kPerLoad][2];
        for (int q = 0; q < Quads::kPerLoad; ++q) load_levels(words, j + q, levels[q]);
        for (size_t i = 0; i < kNumX; ++i) {
          const auto low = Quads::load(x[i].q8 + k + 4 * j);
          const auto high = Quads::load(x[i].q8 + k + 4 * j + 16);
          for (int q = 0; q < Quads::kPerLoad; ++q) {
            sums[i] = Quads::add_products(sums[i], j + q == first, levels[q][0], low, q);
            sums[i] = Quads::add_products(sums[i], false, levels[q][1], high, q);
          }
        }
      }
      for (size_t i = 0; i < kNumX; ++i) {
        isum[i] = first == 0 ? V::widen(sums[i]) : V::add(isum[i], V::widen(sums[i]));
      }
    }
    if constexpr (kBlock.has_min()) {
      add_terms_with_min<kNumX>(words, x, block_idx, isum, acc);
    } else {
      Float d;
      if constexpr (kHalfBytes == 1) {
        d = V::load_exponents(halves);
      } else {
        d = V::load_halves(halves);
      }
      for (size_t i = 0; i < kNumX; ++i) {
        const Int offset = V::broadcast_int(kBlock.offset * x[i].sums32[block_idx]);
        acc[i] = Base::add_term(d, x[i].scales[block_idx], V::subtract(isum[i], offset), acc[i]);
      }
    }
  }

 private:
  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_terms_with_min(const uint8_t* words, const XRow* x,
                                                      int block_idx, const Int* isum, Float* acc) {
    const Int headers = Base::word(words, 0);
    const Float d = V::low_halves(headers), m = V::high_halves(headers);
    for (size_t i = 0; i < kNumX; ++i) {
      const float d_x = x[i].scales[block_idx];
      acc[i] = Base::add_term(d, d_x, isum[i], acc[i]);
      acc[i] = Base::add_term(m, d_x, V::broadcast_int(x[i].sums32[block_idx]), acc[i]);
    }
  }
};

template <class V>
using PackedQ4_0 = PackedNibbles<V, kNibblesQ4_0>;
template <class V>
using PackedQ4_1 = PackedNibbles<V, kNibblesQ4_1>;
template <class V>
using PackedQ5_0 = PackedNibbles<V, kNibblesQ5_0>;
template <class V>
using PackedQ5_1 = PackedNibbles<V, kNibblesQ5_1>;
template <class V>
using PackedMXFP4 = PackedNibbles<V, kNibblesMXFP4>;

// Whether V multiplies 16-bit x by words in the file's order of bytes.
template <class V>
concept HasProductsOfQ16 = requires { &V::products_q16; };

// q8_0 and iq4_nl, whose signed bytes take 16-bit activations. Unless V has products of its own for
// these, the packer has swapped the middle bytes of the words.
template <class V, bool kIsIq4>
struct PackedSignedBytes : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kWords = kIsIq4 ? 4 : 8;
  static constexpr int kHalfBytes = 2;

  // 32 elements, in words.
  static RUVLLM_ALWAYS_INLINE void load_bytes(const uint8_t* words, Int (&bytes)[8]) {
    for (int j = 0; j < kWords; ++j) {
      const Int word = Base::word(words, j);
      if constexpr (kIsIq4) {
        const Int low4 = V::broadcast_byte(0x0f), table = V::load_table(kIq4Values);
        bytes[j] = V::look_up(table, V::bit_and(word, low4));
        bytes[4 + j] = V::look_up(table, V::bit_and(V::template shift_right16<4>(word), low4));
      } else {
        bytes[j] = word;
      }
    }
  }

  // Adds the products of elements k to k + 3.
  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_quad(Int bytes, const XRow* x, ptrdiff_t k, Int* isum) {
    const Int first = V::even_bytes(bytes), second = V::odd_bytes(bytes);
    for (size_t i = 0; i < kNumX; ++i) {
      const int16_t* q16 = x[i].q16 + k;
      isum[i] = V::add_pairs(isum[i], first, V::broadcast(q16));
      isum[i] = V::add_pairs(isum[i], second, V::broadcast(q16 + 2));
    }
  }

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    Base::template prefetch<kNumX>(words, kWords * kPackedVectorBytes);
    Base::template prefetch<kNumX>(halves, kHalfBytes);
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
    if constexpr (HasProductsOfQ16<V>) {
      Int bytes[8];
      load_bytes(words, bytes);
      const auto sums = V::word_sums(bytes);
      for (size_t i = 0; i < kNumX; ++i) isum[i] = V::products_q16(bytes, sums, x[i].q16 + k);
    } else {
      add_quads<kNumX>(words, x, k, isum);
    }
    const Float d = V::load_halves(halves);
    for (size_t i = 0; i < kNumX; ++i) {
      acc[i] = Base::add_term(d, x[i].scales[block_idx], isum[i], acc[i]);
    }
  }

 private:
  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_quads(const uint8_t* words, const XRow* x, ptrdiff_t k,
                                             Int* isum) {
#pragma GCC unroll 8
    for (int j = 0; j < kWords; ++j) {
      const Int word = Base::word(words, j);
      if constexpr (kIsIq4) {
        const Int low4 = V::broadcast_byte(0x0f), table = V::load_table(kIq4Values);
        const Int low = V::bit_and(word, low4);
        const Int high = V::bit_and(V::template shift_right16<4>(word), low4);
        add_quad<kNumX>(V::look_up(table, low), x, k + 4 * j, isum);
        add_quad<kNumX>(V::look_up(table, high), x, k + 16 + 4 * j, isum);
      } else {
        add_quad<kNumX>(word, x, k + 4 * j, isum);
      }
    }
  }
};

template <class V>
using PackedQ8_0 = PackedSignedBytes<V, false>;
template <class V>
using PackedIQ4_NL = PackedSignedBytes<V, true>;

}  // namespace
}  // namespace ruvllm::kernels
