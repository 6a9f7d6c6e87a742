// Packed formats of superblocks: see packed_formats-inl.h.
//
// Rules say how a type's words become levels and scales:
//
//   kWords, kHalfBytes      as in the type's PackedLayout
//   kGroups                 groups of elements with a scale each: 8 or 16
//   kLevelBits              as add_group wants them
//   kStreams                groups whose levels share words
//   kIsWorthDecoding        levels cost so much that many tiles should share them (measured)
//   Header                  what the block holds besides levels: scales[kGroups] and more
//   load_header(words, halves)
//   group(step, stream)     which group a stream is of, step < kGroups / kStreams
//   load_levels(words, step, quad, levels)
//                           four levels each of all streams
//   kOffsetBits             levels are stored 2^kOffsetBits too large; 0: they are not
//   finish(header, isum, x, block_idx, acc)
//                           acc + the terms of one row of x, whose offsets isum is free of if V
//                           starts sums
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_formats-inl.h"
#include "tensor/blocks.h"
#include "tensor/iq/grids.h"

namespace ruvllm::kernels {
namespace {

template <class V, template <class> class RulesFor>
struct PackedSuperblock : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  using Rules = RulesFor<V>;
  static constexpr int kBlockElements = kSuperblock;
  static constexpr int kGroupElements = kSuperblock;
  static constexpr int kWords = Rules::kWords;
  static constexpr int kHalfBytes = Rules::kHalfBytes;
  static constexpr int kQuads = kSuperblock / 4 / Rules::kGroups;  // of a group
  static constexpr size_t kStreams = Rules::kStreams;
  static constexpr int kSteps = Rules::kGroups / static_cast<int>(kStreams);
  static constexpr bool kIsWorthDecoding = Rules::kIsWorthDecoding;

  // A block taken apart, for the many rows of x of prefill.
  struct alignas(64) Decoded {
    uint8_t levels[kSuperblock / 4][4 * V::kLanes];
    typename Rules::Header header;
  };

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    const typename Rules::Header header = Rules::load_header(words, halves);
    const Offsets<kNumX> offsets(x, block_idx);
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
#pragma GCC unroll 1
    for (int step = 0; step < kSteps; ++step) {
      prefetch_step<kNumX>(words, halves, step);
      ptrdiff_t k[kStreams];
      Int scales[kStreams];
      for (size_t s = 0; s < kStreams; ++s) {
        const int group = Rules::group(step, static_cast<int>(s));
        k[s] = element(block_idx, group);
        scales[s] = header.scales[group];
      }
      const auto levels = [&](int j, Int(&w)[kStreams])
                              RUVLLM_INLINE_LAMBDA { Rules::load_levels(words, step, j, w); };
      const auto groups = [&](size_t s) RUVLLM_INLINE_LAMBDA {
        return Rules::group(step, static_cast<int>(s));
      };
      Base::template add_group<kNumX, kQuads, Rules::kLevelBits>(levels, x, k, scales,
                                                                 offsets.starts(groups), isum);
    }
    for (size_t i = 0; i < kNumX; ++i) {
      acc[i] = Rules::finish(header, isum[i], x[i], block_idx, acc[i]);
    }
  }

  static RUVLLM_ALWAYS_INLINE void decode(const uint8_t* words, const uint8_t* halves,
                                          Decoded* decoded) {
    decoded->header = Rules::load_header(words, halves);
#pragma GCC unroll 1
    for (int step = 0; step < kSteps; ++step) {
      prefetch_step<V::kMaxX>(words, halves, step);
      for (int j = 0; j < kQuads; ++j) {
        Int levels[kStreams];
        Rules::load_levels(words, step, j, levels);
        for (size_t s = 0; s < kStreams; ++s) {
          V::store(decoded->levels[Rules::group(step, static_cast<int>(s)) * kQuads + j],
                   levels[s]);
        }
      }
    }
  }

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_decoded(const Decoded& decoded, const XRow* x, int block_idx,
                                               Float* acc) {
    const Offsets<kNumX> offsets(x, block_idx);
    Int isum[kNumX];
    for (size_t i = 0; i < kNumX; ++i) isum[i] = V::zero();
#pragma GCC unroll 1
    for (int group = 0; group < Rules::kGroups; ++group) {
      const auto levels = [&](int j, Int(&w)[1]) RUVLLM_INLINE_LAMBDA {
        w[0] = V::load(decoded.levels[group * kQuads + j]);
      };
      Base::template add_group<kNumX, kQuads, Rules::kLevelBits>(
          levels, x, {element(block_idx, group)}, {decoded.header.scales[group]},
          offsets.starts([&](size_t) RUVLLM_INLINE_LAMBDA { return group; }), isum);
    }
    for (size_t i = 0; i < kNumX; ++i) {
      acc[i] = Rules::finish(decoded.header, isum[i], x[i], block_idx, acc[i]);
    }
  }

 private:
  // A step's share of what lies ahead of the block.
  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void prefetch_step(const uint8_t* words, const uint8_t* halves,
                                                 int step) {
    constexpr size_t kWordsOfStep = (kWords + kSteps - 1) / kSteps;
    constexpr size_t kMinX = Rules::kGroups == 16 ? V::kPrefetchMinX16 : V::kPrefetchMinX;
    Base::template prefetch<kNumX, kMinX>(
        words + static_cast<size_t>(step * kWords / kSteps) * kPackedVectorBytes,
        kWordsOfStep * kPackedVectorBytes);
    if (step == 0) Base::template prefetch<kNumX, kMinX>(halves, kHalfBytes);
  }

  // What the products of a group begin with where levels are too large, so that the offset costs no
  // product: -2^kOffsetBits times the sum of x over the group.
  template <size_t kNumX>
  struct Offsets {
    static constexpr bool kIsUsed = V::kStartsSums && Rules::kOffsetBits != 0;
    alignas(64) int32_t values[kIsUsed ? kNumX : 1][Rules::kGroups];

    RUVLLM_ALWAYS_INLINE Offsets(const XRow* x, int block_idx) {
      if constexpr (kIsUsed) {
        for (size_t i = 0; i < kNumX; ++i) {
          const int16_t* sums = (Rules::kGroups == 16 ? x[i].sums16 : x[i].sums32) +
                                static_cast<ptrdiff_t>(block_idx) * Rules::kGroups;
          for (int g = 0; g < Rules::kGroups; ++g) {
            values[i][g] = -sums[g] * (1 << Rules::kOffsetBits);
          }
        }
      }
    }
    // group(stream): of each stream that add_group is given.
    template <class Group>
    RUVLLM_ALWAYS_INLINE auto starts(const Group& group) const {
      if constexpr (kIsUsed) {
        return [&values = values, group](size_t i, size_t stream)
                   RUVLLM_INLINE_LAMBDA { return V::broadcast(&values[i][group(stream)]); };
      } else {
        return NoStarts{};
      }
    }
  };

  // The first of a group.
  static RUVLLM_ALWAYS_INLINE ptrdiff_t element(int block_idx, int group) {
    return static_cast<ptrdiff_t>(block_idx) * kSuperblock + group * (kSuperblock / Rules::kGroups);
  }
};

template <class V, size_t kNumGroups, size_t kNumPairs>
struct ScalesAndMins {
  typename V::Int scales[kNumGroups];
  typename V::Int pairs[kNumPairs];  // of minimums, or of scales, as add_pairs wants them
  typename V::Float d, dmin;
};
template <class V, size_t kNumGroups>
struct ScalesAlone {
  typename V::Int scales[kNumGroups];
  typename V::Float d;
};
// With the same scales as add_pairs wants them, where offsets are taken off after the products.
template <class V, size_t kNumGroups>
  requires(!V::kStartsSums)
struct ScalesAlone<V, kNumGroups> {
  typename V::Int scales[kNumGroups];
  typename V::Int pairs[kNumGroups / 2];
  typename V::Float d;
};

// Signed scales, one a byte: four words of groups 4 * i to 4 * i + 3.
template <class V, size_t kNumGroups>
RUVLLM_ALWAYS_INLINE void set_scales(typename V::Int bytes, int i,
                                     ScalesAlone<V, kNumGroups>& header) {
  for (int b = 0; b < 4; ++b) header.scales[4 * i + b] = V::signed_scale(bytes, b);
  if constexpr (!V::kStartsSums) {
    header.pairs[2 * i] = V::signed_pair(bytes, 0);
    header.pairs[2 * i + 1] = V::signed_pair(bytes, 2);
  }
}

// The sum of pairs times sums of x over groups.
template <class V, size_t kNumPairs>
RUVLLM_ALWAYS_INLINE typename V::Int sum_of_pairs(const typename V::Int (&pairs)[kNumPairs],
                                                  const int16_t* sums) {
  typename V::Int sum = V::zero();
  for (size_t p = 0; p < kNumPairs; ++p) {
    sum = V::add_pairs(sum, pairs[p], V::broadcast(sums + 2 * p));
  }
  return sum;
}

// acc + the term of a superblock whose levels are stored 2^kOffsetBits too large.
template <class V, int kOffsetBits, size_t kNumGroups>
RUVLLM_ALWAYS_INLINE typename V::Float add_offset_term(const ScalesAlone<V, kNumGroups>& header,
                                                       typename V::Int isum, const XRow& x,
                                                       int block_idx, typename V::Float acc) {
  if constexpr (!V::kStartsSums && kOffsetBits != 0) {
    const int16_t* sums = (kNumGroups == 16 ? x.sums16 : x.sums32) +
                          static_cast<ptrdiff_t>(block_idx) * static_cast<ptrdiff_t>(kNumGroups);
    const auto sum = sum_of_pairs<V>(header.pairs, sums);
    isum = V::subtract(isum, V::template shift_left32<kOffsetBits>(sum));
  }
  return PackedFormat<V>::add_term(header.d, x.scales[block_idx], isum, acc);
}

// q4_K, and q5_K with a fifth bit: 6-bit scales and minimums per 32 elements.
template <class V, bool kHasFifthBit>
struct RulesQ45K : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kWords = (kHasFifthBit ? sizeof(BlockQ5_K) : sizeof(BlockQ4_K)) / 4;
  static constexpr int kHalfBytes = 0;
  static constexpr int kGroups = 8;
  static constexpr int kLevelBits = kHasFifthBit ? 5 : 4;
  static constexpr int kOffsetBits = 0;
  static constexpr bool kIsWorthDecoding = kHasFifthBit;
  static constexpr size_t kStreams = 2;
  static constexpr int kHighBitsWord = 4;
  static constexpr int kNibblesWord = kHasFifthBit ? 12 : 4;
  using Header = ScalesAndMins<V, 8, 4>;

  // Words 1 to 3 hold 8 scales and 8 minimums: the lower four of each in six bits of words 1 and 2,
  // the upper four in four bits of word 3 and the two bits above the six.
  static RUVLLM_ALWAYS_INLINE Header load_header(const uint8_t* words, const uint8_t* /*halves*/) {
    const Int w1 = Base::word(words, 1), w2 = Base::word(words, 2), w3 = Base::word(words, 3);
    const Int low6 = V::broadcast_byte(0x3f), low4 = V::broadcast_byte(0x0f);
    const Int bits45 = V::broadcast_byte(0x30);
    const Int scales_low = V::bit_and(w1, low6);
    const Int mins_low = V::bit_and(w2, low6);
    const Int scales_high =
        V::bit_or(V::bit_and(w3, low4), V::bit_and(V::template shift_right16<2>(w1), bits45));
    const Int mins_high = V::bit_or(V::bit_and(V::template shift_right16<4>(w3), low4),
                                    V::bit_and(V::template shift_right16<2>(w2), bits45));
    Header header;
    for (int i = 0; i < 4; ++i) {
      header.scales[i] = V::scale(scales_low, i);
      header.scales[4 + i] = V::scale(scales_high, i);
    }
    for (int i = 0; i < 2; ++i) {
      header.pairs[i] = V::pair(mins_low, 2 * i);
      header.pairs[2 + i] = V::pair(mins_high, 2 * i);
    }
    const Int halves = Base::word(words, 0);
    header.d = V::low_halves(halves);
    header.dmin = V::high_halves(halves);
    return header;
  }
  static constexpr int group(int step, int stream) { return 2 * step + stream; }
  static RUVLLM_ALWAYS_INLINE void load_levels(const uint8_t* words, int step, int j, Int (&w)[2]) {
    const Int low4 = V::broadcast_byte(0x0f);
    const Int nibbles = Base::word(words, kNibblesWord + 8 * step + j);
    w[0] = V::bit_and(nibbles, low4);
    w[1] = V::bit_and(V::template shift_right16<4>(nibbles), low4);
    if constexpr (kHasFifthBit) {
      const Int bit4 = V::broadcast_byte(0x10);
      const Int bits = V::shift_right(Base::word(words, kHighBitsWord + j), 2 * step);
      w[0] = V::select_or(V::template shift_left16<4>(bits), bit4, w[0]);
      w[1] = V::select_or(V::template shift_left16<3>(bits), bit4, w[1]);
    }
  }
  static RUVLLM_ALWAYS_INLINE Float finish(const Header& header, Int isum, const XRow& x,
                                           int block_idx, Float acc) {
    const int16_t* sums = x.sums32 + static_cast<ptrdiff_t>(block_idx) * 8;
    const float d_x = x.scales[block_idx];
    acc = Base::add_term(header.d, d_x, isum, acc);
    return Base::subtract_term(header.dmin, d_x, sum_of_pairs<V>(header.pairs, sums), acc);
  }
};
template <class V>
using RulesQ4K = RulesQ45K<V, false>;
template <class V>
using RulesQ5K = RulesQ45K<V, true>;

// Sixteen groups in quarters of each half, as in BlockQ2_K and BlockQ6_K: a step is 16 elements of
// each quarter.
struct QuarterGroups {
  static constexpr int kGroups = 16;
  static constexpr size_t kStreams = 4;
  static constexpr int half(int step) { return step / 2; }
  static constexpr int word(int step, int j) { return 4 * (step % 2) + j; }  // of a quarter
};

// q6_K: signed 8-bit scales per 16 elements; the offset 32 is taken off with the sums of x.
template <class V>
struct RulesQ6K : PackedFormat<V>, QuarterGroups {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kWords = sizeof(BlockQ6_K) / 4;
  static constexpr int kHalfBytes = 2;
  static constexpr int kLevelBits = 6;
  static constexpr int kOffsetBits = 5;
  static constexpr bool kIsWorthDecoding = true;
  static constexpr int kScalesWord = 0;  // the packer has put words in the order of steps
  static constexpr int kLevelsWord = 4;
  using Header = ScalesAlone<V, 16>;

  static RUVLLM_ALWAYS_INLINE Header load_header(const uint8_t* words, const uint8_t* halves) {
    Header header;
    for (int i = 0; i < 4; ++i) {
      set_scales<V>(Base::word(words, kScalesWord + i), i, header);
    }
    header.d = V::load_halves(halves);
    return header;
  }
  // Streams 0 and 1 share the nibbles of quarters 0 and 2, streams 2 and 3 those of 1 and 3.
  static constexpr int group(int step, int stream) {
    const int quarter = 2 * (stream % 2) + stream / 2;
    return 8 * half(step) + 2 * quarter + step % 2;
  }
  static RUVLLM_ALWAYS_INLINE void load_levels(const uint8_t* words, int step, int j, Int (&w)[4]) {
    const Int low4 = V::broadcast_byte(0x0f), bits45 = V::broadcast_byte(0x30);
    const int first = kLevelsWord + 12 * step + j;
    const Int even = Base::word(words, first), odd = Base::word(words, first + 4);
    const Int high = Base::word(words, first + 8);
    w[0] = V::select_or(V::template shift_left16<4>(high), bits45, V::bit_and(even, low4));
    w[1] = V::select_or(high, bits45, V::bit_and(V::template shift_right16<4>(even), low4));
    w[2] = V::select_or(V::template shift_left16<2>(high), bits45, V::bit_and(odd, low4));
    w[3] = V::select_or(V::template shift_right16<2>(high), bits45,
                        V::bit_and(V::template shift_right16<4>(odd), low4));
  }
  static RUVLLM_ALWAYS_INLINE Float finish(const Header& header, Int isum, const XRow& x,
                                           int block_idx, Float acc) {
    return add_offset_term<V, kOffsetBits>(header, isum, x, block_idx, acc);
  }
};

// The two lower bits of levels in the order of BlockQ2_K.
template <class V>
RUVLLM_ALWAYS_INLINE void split_two_bits(typename V::Int bits, typename V::Int (&w)[4]) {
  const typename V::Int low2 = V::broadcast_byte(3);
  w[0] = V::bit_and(bits, low2);
  w[1] = V::bit_and(V::template shift_right16<2>(bits), low2);
  w[2] = V::bit_and(V::template shift_right16<4>(bits), low2);
  w[3] = V::bit_and(V::template shift_right16<6>(bits), low2);
}

// q2_K: 4-bit scales and minimums per 16 elements.
template <class V>
struct RulesQ2K : PackedFormat<V>, QuarterGroups {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kWords = sizeof(BlockQ2_K) / 4;
  static constexpr int kHalfBytes = 0;
  static constexpr int kLevelBits = 2;
  static constexpr int kOffsetBits = 0;
  static constexpr bool kIsWorthDecoding = false;
  static constexpr int kBitsWord = 4;
  static constexpr int kHalvesWord = 20;
  using Header = ScalesAndMins<V, 16, 8>;

  static RUVLLM_ALWAYS_INLINE Header load_header(const uint8_t* words, const uint8_t* /*halves*/) {
    const Int low4 = V::broadcast_byte(0x0f);
    Header header;
    for (int i = 0; i < 4; ++i) {
      const Int both = Base::word(words, i);
      const Int scales = V::bit_and(both, low4);
      const Int mins = V::bit_and(V::template shift_right16<4>(both), low4);
      for (int b = 0; b < 4; ++b) header.scales[4 * i + b] = V::scale(scales, b);
      header.pairs[2 * i] = V::pair(mins, 0);
      header.pairs[2 * i + 1] = V::pair(mins, 2);
    }
    const Int halves = Base::word(words, kHalvesWord);
    header.d = V::low_halves(halves);
    header.dmin = V::high_halves(halves);
    return header;
  }
  static constexpr int group(int step, int stream) {
    return 8 * half(step) + 2 * stream + step % 2;
  }
  static RUVLLM_ALWAYS_INLINE void load_levels(const uint8_t* words, int step, int j, Int (&w)[4]) {
    split_two_bits<V>(Base::word(words, kBitsWord + 8 * half(step) + word(step, j)), w);
  }
  static RUVLLM_ALWAYS_INLINE Float finish(const Header& header, Int isum, const XRow& x,
                                           int block_idx, Float acc) {
    const int16_t* sums = x.sums16 + static_cast<ptrdiff_t>(block_idx) * 16;
    const float d_x = x.scales[block_idx];
    acc = Base::add_term(header.d, d_x, isum, acc);
    return Base::subtract_term(header.dmin, d_x, sum_of_pairs<V>(header.pairs, sums), acc);
  }
};

// q3_K: signed 6-bit scales per 16 elements; the offset 4 is taken off with the sums of x.
template <class V>
struct RulesQ3K : PackedFormat<V>, QuarterGroups {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kWords = sizeof(BlockQ3_K) / 4;
  static constexpr int kHalfBytes = 2;
  static constexpr int kLevelBits = 3;
  static constexpr int kOffsetBits = 2;
  static constexpr bool kIsWorthDecoding = true;
  // As the packer has put them: scales, third and lower bits of the first half by turns, lower bits
  // of the second half, the last of them in word 0.
  static constexpr int kScalesWord = 1;
  static constexpr int third_bits_word(int step, int j) { return 4 + 8 * (step % 2) + j; }
  static constexpr int bits_word(int step, int j) {
    return half(step) == 0 ? 8 + 8 * (step % 2) + j : (20 + word(step, j)) % kWords;
  }
  using Header = ScalesAlone<V, 16>;

  static RUVLLM_ALWAYS_INLINE Header load_header(const uint8_t* words, const uint8_t* halves) {
    const Int low4 = V::broadcast_byte(0x0f), bits45 = V::broadcast_byte(0x30);
    const Int w0 = Base::word(words, kScalesWord), w1 = Base::word(words, kScalesWord + 1);
    const Int upper = Base::word(words, kScalesWord + 2);
    const Int bytes[4] = {
        V::select_or(V::template shift_left16<4>(upper), bits45, V::bit_and(w0, low4)),
        V::select_or(V::template shift_left16<2>(upper), bits45, V::bit_and(w1, low4)),
        V::select_or(upper, bits45, V::bit_and(V::template shift_right16<4>(w0), low4)),
        V::select_or(V::template shift_right16<2>(upper), bits45,
                     V::bit_and(V::template shift_right16<4>(w1), low4))};
    Header header;
    for (int i = 0; i < 4; ++i) {
      set_scales<V>(V::subtract_bytes(bytes[i], V::broadcast_byte(32)), i, header);
    }
    header.d = V::load_halves(halves);
    return header;
  }
  static constexpr int group(int step, int stream) {
    return 8 * half(step) + 2 * stream + step % 2;
  }
  static RUVLLM_ALWAYS_INLINE void load_levels(const uint8_t* words, int step, int j, Int (&w)[4]) {
    split_two_bits<V>(Base::word(words, bits_word(step, j)), w);
    const Int bit2 = V::broadcast_byte(4);
    const Int bits = V::shift_right(Base::word(words, third_bits_word(step, j)), 4 * half(step));
    w[0] = V::select_or(V::template shift_left16<2>(bits), bit2, w[0]);
    w[1] = V::select_or(V::template shift_left16<1>(bits), bit2, w[1]);
    w[2] = V::select_or(bits, bit2, w[2]);
    w[3] = V::select_or(V::template shift_right16<1>(bits), bit2, w[3]);
  }
  static RUVLLM_ALWAYS_INLINE Float finish(const Header& header, Int isum, const XRow& x,
                                           int block_idx, Float acc) {
    return add_offset_term<V, kOffsetBits>(header, isum, x, block_idx, acc);
  }
};

// iq4_xs: signed 6-bit scales per 32 elements; levels from a table, which a bias may make unsigned.
template <class V>
struct RulesIQ4XS : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kWords = sizeof(BlockIQ4_XS) / 4;
  static constexpr int kHalfBytes = 0;
  static constexpr int kGroups = 8;
  static constexpr int kLevelBits = 8;
  static_assert(V::kLevelBias == 0 || V::kLevelBias == 128);
  static constexpr int kOffsetBits = V::kLevelBias == 0 ? 0 : 7;
  static constexpr bool kIsWorthDecoding = false;
  static constexpr size_t kStreams = 1;
  static constexpr int kNibblesWord = 2;
  using Header = ScalesAlone<V, 8>;

  // a | a << kBits where the mask is set
  template <int kBits>
  static RUVLLM_ALWAYS_INLINE Int spread(Int a, int32_t mask) {
    return V::bit_and(V::bit_or(a, V::template shift_left32<kBits>(a)), V::broadcast_int(mask));
  }

  static RUVLLM_ALWAYS_INLINE Header load_header(const uint8_t* words, const uint8_t* /*halves*/) {
    const Int first = Base::word(words, 0), low = Base::word(words, 1);
    Header header;
    for (int i = 0; i < 2; ++i) {  // scales 0 to 3, 4 to 7 in the bytes of each lane
      const Int nibbles = V::bit_and(V::shift_right(low, 16 * i), V::broadcast_int(0xffff));
      const Int bits = V::bit_and(V::shift_right(first, 16 + 8 * i), V::broadcast_int(0xff));
      const Int low4 = spread<4>(spread<8>(nibbles, 0x00ff00ff), 0x0f0f0f0f);
      const Int high2 = spread<6>(spread<12>(bits, 0x000f000f), 0x03030303);
      const Int six_bits = V::bit_or(low4, V::template shift_left32<4>(high2));
      set_scales<V>(V::subtract_bytes(six_bits, V::broadcast_byte(32)), i, header);
    }
    header.d = V::low_halves(first);
    return header;
  }
  static constexpr int group(int step, int /*stream*/) { return step; }
  static RUVLLM_ALWAYS_INLINE void load_levels(const uint8_t* words, int step, int j, Int (&w)[1]) {
    const Int bias = V::broadcast_byte(static_cast<char>(-V::kLevelBias));
    const Int table = V::subtract_bytes(V::load_table(kIq4Values), bias);
    Int nibbles = Base::word(words, kNibblesWord + 4 * step + j % 4);
    if (j >= 4) nibbles = V::template shift_right16<4>(nibbles);
    w[0] = V::look_up(table, V::bit_and(nibbles, V::broadcast_byte(0x0f)));
  }
  static RUVLLM_ALWAYS_INLINE Float finish(const Header& header, Int isum, const XRow& x,
                                           int block_idx, Float acc) {
    return add_offset_term<V, kOffsetBits>(header, isum, x, block_idx, acc);
  }
};

template <class V>
using PackedQ2K = PackedSuperblock<V, RulesQ2K>;
template <class V>
using PackedQ3K = PackedSuperblock<V, RulesQ3K>;
template <class V>
using PackedQ4K = PackedSuperblock<V, RulesQ4K>;
template <class V>
using PackedQ5K = PackedSuperblock<V, RulesQ5K>;
template <class V>
using PackedQ6K = PackedSuperblock<V, RulesQ6K>;
template <class V>
using PackedIQ4XS = PackedSuperblock<V, RulesIQ4XS>;

}  // namespace
}  // namespace ruvllm::kernels
