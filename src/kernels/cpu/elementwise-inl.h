// Bodies of the row operations, written once against the vector type (cpu/vec.h) and compiled by
// each ISA's elementwise.cc. Semantics: cpu/elementwise.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math-inl.h"

namespace ruvllm::kernels {
namespace {

// Sums over a row: element i goes to lane i % 16 on every ISA, and the lanes are added pairwise, so
// that the order of additions does not depend on the vector width.
template <class V>
struct RowSum {
  static constexpr size_t kNumParts = kSumLanes / V::kLanes;
  typename V::DoubleSum parts[kNumParts];

  RUVLLM_ALWAYS_INLINE double total() const {
    double lanes[kSumLanes];
    for (size_t part = 0; part < kNumParts; ++part) parts[part].store(lanes + part * V::kLanes);
    for (int stride = kSumLanes / 2; stride > 0; stride /= 2) {
      for (int lane = 0; lane < stride; ++lane) lanes[lane] += lanes[lane + stride];
    }
    return lanes[0];
  }
};

// Squares of floats are exact in double: no overflow, and one rounding an addition on every ISA.
template <class V>
void rms_norm(const float* x, const float* weight, float eps, int32_t n, float* dst) noexcept {
  RowSum<V> sum;
  int32_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (size_t part = 0; part < RowSum<V>::kNumParts; ++part) {
      sum.parts[part].add_square(V::load(x + i + part * V::kLanes));
    }
  }
  for (size_t part = 0; i < n; i += V::kLanes, ++part) {
    sum.parts[part].add_square(V::load_partial(x + i, lanes_below<V>(i, n), 0.0f));
  }
  const double mean = sum.total() / static_cast<double>(n);
  const double root = __builtin_sqrt(mean + static_cast<double>(eps));
  const V inverse = V::broadcast(static_cast<float>(1.0 / root));

  for (i = 0; i + V::kLanes <= n; i += V::kLanes) {
    ((V::load(x + i) * inverse) * V::load(weight + i)).store(dst + i);
  }
  if (const int32_t tail = n - i; tail > 0) {
    const V scaled = V::load_partial(x + i, tail, 0.0f) * inverse;
    (scaled * V::load_partial(weight + i, tail, 0.0f)).store_partial(dst + i, tail);
  }
}

// The variance as mean(x^2) - mean(x)^2: squares are exact in double, and what the difference loses
// is 2^-53 of a mean that would have to exceed the deviation by 2^14 to show in a float.
template <class V>
void layer_norm(const float* x, const float* weight, const float* bias, float eps, int32_t n,
                float* dst) noexcept {
  RowSum<V> sum, squares;
  int32_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (size_t part = 0; part < RowSum<V>::kNumParts; ++part) {
      const V values = V::load(x + i + part * V::kLanes);
      sum.parts[part].add(values);
      squares.parts[part].add_square(values);
    }
  }
  for (size_t part = 0; i < n; i += V::kLanes, ++part) {
    const V values = V::load_partial(x + i, lanes_below<V>(i, n), 0.0f);
    sum.parts[part].add(values);
    squares.parts[part].add_square(values);
  }
  const double mean = sum.total() / static_cast<double>(n);
  const double difference = squares.total() / static_cast<double>(n) - mean * mean;
  const double variance = difference < 0.0 ? 0.0 : difference;  // NaN stays
  const double root = __builtin_sqrt(variance + static_cast<double>(eps));
  const V inverse = V::broadcast(static_cast<float>(1.0 / root));
  const V shift = V::broadcast(static_cast<float>(mean));

  for (i = 0; i + V::kLanes <= n; i += V::kLanes) {
    const V normed = (V::load(x + i) - shift) * inverse;
    V::mul_add(normed, V::load(weight + i), V::load(bias + i)).store(dst + i);
  }
  if (const int32_t tail = n - i; tail > 0) {
    const V normed = (V::load_partial(x + i, tail, 0.0f) - shift) * inverse;
    V::mul_add(normed, V::load_partial(weight + i, tail, 0.0f),
               V::load_partial(bias + i, tail, 0.0f))
        .store_partial(dst + i, tail);
  }
}

template <class V>
void add(const float* x, int32_t n, float* dst) noexcept {
  int32_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) (V::load(dst + i) + V::load(x + i)).store(dst + i);
  if (const int32_t tail = n - i; tail > 0) {
    const V sum = V::load_partial(dst + i, tail, 0.0f) + V::load_partial(x + i, tail, 0.0f);
    sum.store_partial(dst + i, tail);
  }
}

// x[i] = function(x[i])
template <class V, class Function>
RUVLLM_ALWAYS_INLINE void transform(const Function& function, int32_t n, float* x) {
  int32_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) function(V::load(x + i)).store(x + i);
  if (const int32_t tail = n - i; tail > 0) {
    function(V::load_partial(x + i, tail, 0.0f)).store_partial(x + i, tail);
  }
}

template <class V>
void scale(float factor, int32_t n, float* x) noexcept {
  transform<V>([factor](V value) { return value * V::broadcast(factor); }, n, x);
}

template <class V>
void soft_cap(float cap, int32_t n, float* x) noexcept {
  const V inverse = V::broadcast(1.0f / cap);
  transform<V>([&](V value) { return tanh(value * inverse) * V::broadcast(cap); }, n, x);
}

// dst[i] = activation(gate[i]) * up[i]
template <class V, class Activation>
RUVLLM_ALWAYS_INLINE void multiply_gated(const Activation& activation, const float* gate,
                                         const float* up, int32_t n, float* dst) {
  int32_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    (activation(V::load(gate + i)) * V::load(up + i)).store(dst + i);
  }
  if (const int32_t tail = n - i; tail > 0) {
    const V activated = activation(V::load_partial(gate + i, tail, 0.0f));
    (activated * V::load_partial(up + i, tail, 0.0f)).store_partial(dst + i, tail);
  }
}

template <class V>
void swiglu(const float* gate, const float* up, int32_t n, float* dst) noexcept {
  multiply_gated<V>([](V g) { return g * sigmoid(g); }, gate, up, n, dst);
}

// (1 + tanh(z)) / 2 = sigmoid(2 z).
template <class V>
void geglu_tanh(const float* gate, const float* up, int32_t n, float* dst) noexcept {
  const V linear = V::broadcast(1.5957691216057308f);  // 2 sqrt(2 / pi)
  const V cubic = V::broadcast(1.5957691216057308f * 0.044715f);
  const auto gelu = [&](V g) { return g * sigmoid(g * V::mul_add(g * g, cubic, linear)); };
  multiply_gated<V>(gelu, gate, up, n, dst);
}

// x Phi(x) with Phi(-t) = e^(-t^2 / 2) P(1 / (1 + t / 4)) for t >= 0. P is the minimax polynomial
// for the relative error up to t = 13.2, where e^(-t^2 / 2) becomes 0 (Remez exchange, coefficients
// rounded one after the other): 1.3e-8.
template <class V>
RUVLLM_ALWAYS_INLINE V gelu_of(V x) {
  const V one = V::broadcast(1.0f);
  const V u = one / V::mul_add(x.abs(), V::broadcast(0.25f), one);
  V p = V::broadcast(0x1.1d11bap-5f);
  p = V::mul_add(p, u, V::broadcast(-0x1.9b36a2p-3f));
  p = V::mul_add(p, u, V::broadcast(0x1.9f8f6cp-2f));
  p = V::mul_add(p, u, V::broadcast(-0x1.643e0ep-2f));
  p = V::mul_add(p, u, V::broadcast(0x1.441aa8p-2f));
  p = V::mul_add(p, u, V::broadcast(-0x1.b83d38p-6f));
  p = V::mul_add(p, u, V::broadcast(0x1.fb3602p-4f));
  p = V::mul_add(p, u, V::broadcast(0x1.825e9p-4f));
  p = V::mul_add(p, u, V::broadcast(0x1.9ac908p-4f));
  p = V::mul_add(p, u, V::broadcast(-0x1.9fe652p-16f));
  const V tail = p * exp(x * x * V::broadcast(-0.5f));
  return x * V::select_less(x, V::zero(), tail, one - tail);
}

template <class V>
void gelu(const float* x, int32_t n, float* dst) noexcept {
  int32_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) gelu_of(V::load(x + i)).store(dst + i);
  if (const int32_t tail = n - i; tail > 0) {
    gelu_of(V::load_partial(x + i, tail, 0.0f)).store_partial(dst + i, tail);
  }
}

template <class V>
void rope_neox(float* x, const float* cos, const float* sin, int32_t rope_dim, int32_t head_dim,
               int32_t num_heads) noexcept {
  const int32_t half = rope_dim / 2;
  for (int32_t head = 0; head < num_heads; ++head, x += head_dim) {
    float* const second = x + half;
    int32_t i = 0;
    for (; i + V::kLanes <= half; i += V::kLanes) {
      const V a = V::load(x + i), b = V::load(second + i);
      const V c = V::load(cos + i), s = V::load(sin + i);
      V::mul_add(a, c, V::zero() - b * s).store(x + i);
      V::mul_add(b, c, a * s).store(second + i);
    }
    if (const int32_t tail = half - i; tail > 0) {
      const V a = V::load_partial(x + i, tail, 0.0f);
      const V b = V::load_partial(second + i, tail, 0.0f);
      const V c = V::load_partial(cos + i, tail, 0.0f);
      const V s = V::load_partial(sin + i, tail, 0.0f);
      V::mul_add(a, c, V::zero() - b * s).store_partial(x + i, tail);
      V::mul_add(b, c, a * s).store_partial(second + i, tail);
    }
  }
}

template <class V>
void rope_interleaved(float* x, const float* cos, const float* sin, int32_t rope_dim,
                      int32_t head_dim, int32_t num_heads) noexcept {
  for (int32_t head = 0; head < num_heads; ++head, x += head_dim) {
    int32_t i = 0;
    for (; i + V::kLanes <= rope_dim; i += V::kLanes) {
      const V pairs = V::load(x + i);
      const V turned = (pairs.swap_pairs() * V::load_pairs(sin + i / 2)).negate_even();
      V::mul_add(pairs, V::load_pairs(cos + i / 2), turned).store(x + i);
    }
    if (const int32_t tail = rope_dim - i; tail > 0) {
      const V pairs = V::load_partial(x + i, tail, 0.0f);
      const V s = V::load_pairs_partial(sin + i / 2, tail / 2);
      const V c = V::load_pairs_partial(cos + i / 2, tail / 2);
      const V turned = (pairs.swap_pairs() * s).negate_even();
      V::mul_add(pairs, c, turned).store_partial(x + i, tail);
    }
  }
}

// How a group of n values, n a multiple of 32, becomes integers up to `limit`.
struct GroupScale {
  float inverse;  // what to multiply with; 0: the group is all zeros
  float scale;
};

template <class V>
RUVLLM_ALWAYS_INLINE GroupScale group_scale(const float* x, int32_t n, float limit) {
  constexpr uint32_t kInfinityBits = 0x7f800000u;
  const uint32_t amax_bits = V::max_abs_bits(x, n);
  const float amax = float_from_bits(amax_bits);
  const float inverse = limit / amax;
  // Comparing bits orders magnitudes with infinity and NaN above all finite values.
  if (amax_bits >= kInfinityBits) return {0.0f, __builtin_nanf("")};
  if (float_bits(inverse) >= kInfinityBits) return {0.0f, 0.0f};
  // |x| * (limit / amax) <= limit (1 + 2^-23): it rounds to at most the limit, no clamp needed.
  return {inverse, amax / limit};
}

template <class V>
RUVLLM_ALWAYS_INLINE float quantize_group(const float* x, int32_t n, int8_t* q8, int16_t* sums16,
                                          int16_t* sums32) {
  const GroupScale group = group_scale<V>(x, n, 127.0f);
  if (group.inverse == 0.0f) {
    __builtin_memset(q8, 0, static_cast<size_t>(n));
    if (sums16 != nullptr) __builtin_memset(sums16, 0, static_cast<size_t>(n / 16) * 2);
    __builtin_memset(sums32, 0, static_cast<size_t>(n / 32) * 2);
    return group.scale;
  }
  for (int32_t i = 0; i < n; i += 32) {
    int32_t halves[2];
    V::quantize32(x + i, group.inverse, q8 + i, halves);
    if (sums16 != nullptr) {
      sums16[i / 16] = static_cast<int16_t>(halves[0]);
      sums16[i / 16 + 1] = static_cast<int16_t>(halves[1]);
    }
    sums32[i / 32] = static_cast<int16_t>(halves[0] + halves[1]);
  }
  return group.scale;
}

template <class V>
void quantize_group32(const float* x, int32_t n, int8_t* q8, float* scales,
                      int16_t* sums32) noexcept {
  for (int32_t i = 0; i < n; i += 32) {
    scales[i / 32] = quantize_group<V>(x + i, 32, q8 + i, nullptr, sums32 + i / 32);
  }
}

// kLimit: 32767 or 8191
template <class V, int kLimit>
void quantize_group32_wide(const float* x, int32_t n, int16_t* q16, float* scales) noexcept {
  for (int32_t i = 0; i < n; i += 32) {
    const GroupScale group = group_scale<V>(x + i, 32, static_cast<float>(kLimit));
    scales[i / 32] = group.scale;
    if (group.inverse == 0.0f) {
      __builtin_memset(q16 + i, 0, 32 * sizeof(int16_t));
    } else {
      V::quantize32_i16(x + i, group.inverse, q16 + i);
    }
  }
}

template <class V>
void quantize_group256(const float* x, int32_t n, int8_t* q8, float* scales, int16_t* sums16,
                       int16_t* sums32) noexcept {
  for (int32_t i = 0; i < n; i += 256) {
    scales[i / 256] = quantize_group<V>(x + i, 256, q8 + i, sums16 + i / 16, sums32 + i / 32);
  }
}

template <class V>
void store_f16(const float* x, int32_t n, uint16_t* dst, size_t dst_stride) noexcept {
  int32_t i = 0;
  if (dst_stride == 1) {
    for (; i + V::kLanes <= n; i += V::kLanes) V::load(x + i).store_f16(dst + i);
  }
  for (; i < n; i += V::kLanes) {
    const int32_t count = lanes_below<V>(i, n);
    uint16_t halves[V::kLanes];
    V::load_partial(x + i, count, 0.0f).store_f16(halves);
    for (int32_t lane = 0; lane < count; ++lane) {
      dst[static_cast<size_t>(i + lane) * dst_stride] = halves[lane];
    }
  }
}

template <class V>
float row_max(const float* x, int32_t n) noexcept {
  constexpr size_t kNumParts = kSumLanes / V::kLanes;
  const float lowest = -__builtin_inff();
  V parts[kNumParts];
  for (V& part : parts) part = V::broadcast(lowest);
  int32_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (size_t part = 0; part < kNumParts; ++part) {
      parts[part] = V::max(V::load(x + i + part * V::kLanes), parts[part]);
    }
  }
  for (; i < n; i += V::kLanes) {
    parts[0] = V::max(V::load_partial(x + i, lanes_below<V>(i, n), lowest), parts[0]);
  }
  for (size_t part = 1; part < kNumParts; ++part) parts[0] = V::max(parts[part], parts[0]);
  return parts[0].horizontal_max();
}

template <class V>
double sum_exp(const float* x, int32_t n, float max) noexcept {
  RowSum<V> sum;
  const V shift = V::broadcast(max);
  int32_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (size_t part = 0; part < RowSum<V>::kNumParts; ++part) {
      sum.parts[part].add(exp(V::load(x + i + part * V::kLanes) - shift));
    }
  }
  for (size_t part = 0; i < n; i += V::kLanes, ++part) {
    const V tail = V::load_partial(x + i, lanes_below<V>(i, n), -__builtin_inff());
    sum.parts[part].add(exp(tail - shift));
  }
  return sum.total();
}

// num_cols columns of one slice for kRows rows, or all that kVecs vectors have (kFull: no masks);
// what b holds beyond them is read and dropped.
template <class V, size_t kRows, size_t kVecs, bool kFull>
RUVLLM_NEVER_INLINE void add_low_rank_tile(const LowRankArgs& args, const uint16_t* b,
                                           const float* inner, int32_t num_cols, float* dst) {
  const auto rank = static_cast<size_t>(args.rank);
  const auto lanes = [&](size_t v) RUVLLM_INLINE_LAMBDA {
    return lanes_below<V>(static_cast<int32_t>(v) * V::kLanes, num_cols);
  };
  V acc[kRows][kVecs];
  for (size_t m = 0; m < kRows; ++m) {
    const float* row = dst + m * args.dst_stride;
    for (size_t v = 0; v < kVecs; ++v) {
      if constexpr (kFull) {
        acc[m][v] = V::load(row + v * V::kLanes);
      } else {
        acc[m][v] =
            lanes(v) == 0 ? V::zero() : V::load_partial(row + v * V::kLanes, lanes(v), 0.0f);
      }
    }
  }
  for (size_t r = 0; r < rank; ++r, b += kLowRankSlice) {
    V factors[kRows];
    for (size_t m = 0; m < kRows; ++m) factors[m] = V::broadcast(inner[m * rank + r]);
    for (size_t v = 0; v < kVecs; ++v) {
      const V terms = V::load_f16(b + v * V::kLanes);
      for (size_t m = 0; m < kRows; ++m) acc[m][v] = V::mul_add(terms, factors[m], acc[m][v]);
    }
  }
  for (size_t m = 0; m < kRows; ++m) {
    float* row = dst + m * args.dst_stride;
    for (size_t v = 0; v < kVecs; ++v) {
      if constexpr (kFull) {
        acc[m][v].store(row + v * V::kLanes);
      } else if (lanes(v) > 0) {
        acc[m][v].store_partial(row + v * V::kLanes, lanes(v));
      }
    }
  }
}

template <class V, size_t kRows, size_t kVecs>
RUVLLM_ALWAYS_INLINE void add_low_rank_rows(const LowRankArgs& args, const float* inner,
                                            float* dst) {
  constexpr int32_t kCols = static_cast<int32_t>(kVecs) * V::kLanes;
  for (int32_t done = 0; done < args.num_cols;) {
    const int32_t col = args.first_col + done, in_slice = col % kLowRankSlice;
    int32_t count = kLowRankSlice - in_slice;
    if (count > kCols) count = kCols;
    if (count > args.num_cols - done) count = args.num_cols - done;
    const uint16_t* b =
        args.b + static_cast<size_t>(col - in_slice) * static_cast<size_t>(args.rank) + in_slice;
    if (count == kCols) {
      add_low_rank_tile<V, kRows, kVecs, true>(args, b, inner, count, dst + done);
    } else {
      add_low_rank_tile<V, kRows, kVecs, false>(args, b, inner, count, dst + done);
    }
    done += count;
  }
}

// One row takes many vectors, so that its chains of sums overlap; more rows share each conversion
// of b.
template <class V>
void add_low_rank(const LowRankArgs& args) noexcept {
  constexpr size_t kSliceVecs = static_cast<size_t>(kLowRankSlice / V::kLanes);
  constexpr size_t kVecs = kSliceVecs < 8 ? kSliceVecs : 8;
  constexpr size_t kManyRows = 4, kManyVecs = 2;
  const auto rank = static_cast<size_t>(args.rank);
  const auto num_rows = static_cast<size_t>(args.num_rows);
  size_t row = 0;
  for (; row + kManyRows <= num_rows; row += kManyRows) {
    add_low_rank_rows<V, kManyRows, kManyVecs>(args, args.inner + row * rank,
                                               args.dst + row * args.dst_stride);
  }
  for (; row < num_rows; ++row) {
    add_low_rank_rows<V, 1, kVecs>(args, args.inner + row * rank, args.dst + row * args.dst_stride);
  }
}

template <class V>
void fill_elementwise_kernels(const char* name, ElementwiseKernels& kernels) {
  kernels.name = name;
  kernels.rms_norm = rms_norm<V>;
  kernels.layer_norm = layer_norm<V>;
  kernels.add = add<V>;
  kernels.scale = scale<V>;
  kernels.soft_cap = soft_cap<V>;
  kernels.swiglu = swiglu<V>;
  kernels.geglu_tanh = geglu_tanh<V>;
  kernels.gelu = gelu<V>;
  kernels.rope_neox = rope_neox<V>;
  kernels.rope_interleaved = rope_interleaved<V>;
  kernels.quantize_group32 = quantize_group32<V>;
  kernels.quantize_group32_i16 = quantize_group32_wide<V, 32767>;
  kernels.quantize_group32_i14 = quantize_group32_wide<V, 8191>;
  kernels.quantize_group256 = quantize_group256<V>;
  kernels.store_f16 = store_f16<V>;
  kernels.add_low_rank = add_low_rank<V>;
  kernels.row_max = row_max<V>;
  kernels.sum_exp = sum_exp<V>;
}

}  // namespace
}  // namespace ruvllm::kernels
