// Pages of the store (cpu/kv_store.h) in products of integers.
//
// A page's scales are rounded to 15 bits of the largest of them, a row's query or weights to 15
// bits of their largest, and their products to 15 bits again: the factors that the levels are
// multiplied with, summed up exactly in 32 bits. A factor is off by at most 1.5 units in its last
// place. The sum becomes a float once a page, the minimums join as a product of floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention/levels-inl.h"
#include "kernels/cpu/attention/tile-inl.h"
#include "kernels/cpu/kv_store.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

// Scales of a page as floats, of keys by channel, of values by group of 8 channels or more and by
// token, followed by as much room for the minimums.
constexpr size_t kMaxStoredScales = kMaxHeadDim / 8 * kStoredRun;
constexpr size_t kStoredScaleFloats = 2 * kMaxStoredScales;
// The largest of the 16-bit numbers, as a float.
constexpr float kFactorMax = 32767.0f;
// What a product of two of them, rounded to 16 bits, counts.
constexpr float kProductUnit = 32768.0f;

// `count` scales, a multiple of kLanes, and the minimums behind them.
template <size_t kBits, class V>
RUVLLM_ALWAYS_INLINE void convert_scales(const std::byte* src, size_t count,
                                         float* scales) noexcept {
  const uint16_t* const halves = reinterpret_cast<const uint16_t*>(src);
  for (size_t i = 0; i < count; i += V::kLanes) {
    V::load_f16(halves + i).store(scales + i);
    if (kBits < 8) V::load_f16(halves + count + i).store(scales + kMaxStoredScales + i);
  }
}

// dst * result = src, rounded, for a multiple of 32 numbers; if one is not finite, zeros and NaN.
template <class V>
RUVLLM_ALWAYS_INLINE float round_to_factors(const float* src, size_t count, int16_t* dst) noexcept {
  const float largest = float_from_bits(V::max_abs_bits(src, static_cast<int32_t>(count)));
  constexpr float kSmallest = 0x1p-100f;  // whose inverse is finite
  const bool is_finite = largest < __builtin_inff();
  if (!is_finite || largest < kSmallest) {
    for (size_t i = 0; i < count; ++i) dst[i] = 0;
    return is_finite ? 0.0f : __builtin_nanf("");
  }
  const float inverse = kFactorMax / largest;
  for (size_t i = 0; i < count; i += 32) V::quantize32_i16(src + i, inverse, dst + i);
  return largest * (1.0f / kFactorMax);
}

// Of runs that unpack_runs() has made.
constexpr size_t kUnpackedBits = 16;

// What pages of one format and head_dim have in common, worked out once a call: a division takes as
// long as several dimensions of a page.
struct StoredShape {
  size_t keys_bytes, values_bytes;
  size_t group_log2;  // of the channels of values that share a scale

  StoredShape(KvStoreFormat format, size_t head_dim)
      : keys_bytes(stored_keys_bytes(format, head_dim)),
        values_bytes(stored_values_bytes(format, head_dim)),
        group_log2(
            static_cast<size_t>(__builtin_ctzll(stored_group(value_bits(format), head_dim)))) {}
};

// Where the runs and scales of a page's keys are.
template <size_t kBits>
struct StoredKeys {
  const std::byte* runs;
  size_t head_dim;

  template <class V>
  RUVLLM_ALWAYS_INLINE void prepare_scales(float* scales) const noexcept {
    convert_scales<kBits, V>(runs + head_dim / 2 * stored_run_bytes(kBits), head_dim, scales);
  }
};

// And of its values.
template <size_t kBits>
struct StoredValues {
  const std::byte* runs;
  size_t head_dim;
  size_t group_log2;  // StoredShape's
  // Of the runs of two tokens.
  size_t pair_bytes = (head_dim + kStoredRun - 1) / kStoredRun * stored_run_bytes(kBits);

  template <class V>
  RUVLLM_ALWAYS_INLINE void prepare_scales(float* scales) const noexcept {
    convert_scales<kBits, V>(runs + kStoredRun / 2 * pair_bytes,
                             (head_dim >> group_log2) * kStoredRun, scales);
  }
};

// Register tiles that a run is taken in, and how often a pass over the runs asks for coming pages.
template <class V>
constexpr size_t kTilesOfRun = kStoredRun / (Levels<V>::kTileVecs * V::kLanes);
template <class V>
constexpr size_t kStepsOfRun = kTilesOfRun<V> == 1 ? 2 : kTilesOfRun<V>;

// sums[row][vec] += sum over k < depth of the pairs of run k, run_stride bytes apart, times
// factors[row][2 k ...].
template <size_t kBits, size_t kFirstVec, size_t kRows, size_t kStride, class V,
          template <class> class Stream>
RUVLLM_ALWAYS_INLINE void multiply_runs(
    const int16_t (&factors)[kRows][kStride], const std::byte* run, size_t run_stride, size_t depth,
    typename Levels<V>::Sums (&sums)[kRows][Levels<V>::kTileVecs], Stream<V>& stream) noexcept {
  using L = Levels<V>;
  Stream<V> local_stream = stream;
#pragma GCC unroll 1
  for (size_t k = 0; k < depth; ++k, run += run_stride) {
    typename L::Pairs levels[L::kTileVecs];
    for (size_t i = 0; i < kStepsOfRun<V> / kTilesOfRun<V>; ++i) local_stream.advance();
    for (size_t vec = 0; vec < L::kTileVecs; ++vec) {
      levels[vec] = L::template load<kBits>(run, kFirstVec + vec);
    }
    for (size_t row = 0; row < kRows; ++row) {
      const typename L::Pairs factor = L::broadcast(factors[row] + 2 * k);
      for (size_t vec = 0; vec < L::kTileVecs; ++vec) {
        sums[row][vec] = L::multiply_add(levels[vec], factor, sums[row][vec]);
      }
    }
    L::order_memory_after(sums[kRows - 1][L::kTileVecs - 1]);
  }
  stream = local_stream;
}

// Unpacks runs that follow each other to 16 bits.
template <size_t kBits, class V>
RUVLLM_NEVER_INLINE void unpack_runs(const std::byte* run, size_t num_runs, std::byte* dst,
                                     PageStream<V> stream) noexcept {
  using L = Levels<V>;
#pragma GCC unroll 1
  for (size_t i = 0; i < num_runs; ++i, run += stored_run_bytes(kBits)) {
    for (size_t step = 0; step < kStepsOfRun<V>; ++step) stream.advance();
    for (size_t vec = 0; vec < kStoredRun / V::kLanes; ++vec) {
      L::store(L::template load<kBits>(run, vec), dst);
      dst += sizeof(typename L::Pairs);
    }
  }
}

// Values as floats, [head_dim / 32 rounded up, 32 tokens, 32]. Where head_dim ends within a run its
// last vectors stay as they are.
template <size_t kBits, class V, template <class> class Stream>
RUVLLM_NEVER_INLINE void decode_values(const StoredValues<kBits>& src, const float* scales,
                                       float* values, Stream<V> stream) noexcept {
  using L = Levels<V>;
  constexpr int16_t kMember[2][2] = {{1, 0}, {0, 1}};
  const std::byte* block = src.runs;
  for (size_t dim = 0; dim < src.head_dim; dim += kStoredRun, block += stored_run_bytes(kBits)) {
    const size_t dims_left = src.head_dim - dim;
    const size_t num_dims = dims_left < kStoredRun ? dims_left : kStoredRun;
    const std::byte* run = block;
    for (size_t token = 0; token < kStoredRun; token += 2, run += src.pair_bytes) {
      stream.advance();
      for (size_t i = 0; i < num_dims; i += V::kLanes) {
        const typename L::Pairs pairs = L::template load<kBits>(run, i / V::kLanes);
        const float* const scale = scales + ((dim + i) >> src.group_log2) * kStoredRun + token;
        for (size_t member = 0; member < 2; ++member) {
          const V level =
              L::to_float(L::multiply_add(pairs, L::broadcast(kMember[member]), L::zero()));
          V number = level * V::broadcast(scale[member]);
          if (kBits < 8) number = number + V::broadcast(scale[kMaxStoredScales + member]);
          number.store(values + member * kStoredRun + i);
        }
      }
      values += 2 * kStoredRun;
    }
  }
}

template <size_t kBits>
struct BitCount {
  static constexpr size_t value = kBits;
};

// Calls visit(bits as a constant).
template <class Visit>
RUVLLM_ALWAYS_INLINE void with_bits(size_t bits, const Visit& visit) noexcept {
  switch (bits) {
    case 8:
      return visit(BitCount<8>());
    case 4:
      return visit(BitCount<4>());
    case 3:
      return visit(BitCount<3>());
    default:
      return visit(BitCount<2>());
  }
}

}  // namespace
}  // namespace ruvllm::kernels
