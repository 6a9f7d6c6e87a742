// f32, f16 and bf16 weights, written once for all vector types (vec.h).
//
// The order of an element's sum, the same for every tile: lane l adds elements l, l + kLanes, ...
// with one fused multiply-add each (the last, partial vector padded with zeros), then
// V::horizontal_sum. Converting weights is exact, so it does not matter when it is done.
//
// A Format says how weights become floats: Element, load(p), load_partial(p, count). Tiles are
// Tile::kRows weight rows by Tile::kNumX rows of x.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

template <class V>
struct FloatWeights {
  using Element = float;
  static RUVLLM_ALWAYS_INLINE V load(const float* src) { return V::load(src); }
};

// The `count` < kLanes elements at src, then zeros.
template <class V, class Format>
RUVLLM_ALWAYS_INLINE V load_float_partial(const typename Format::Element* src, int32_t count) {
  typename Format::Element padded[V::kLanes] = {};
  __builtin_memcpy(padded, src, static_cast<size_t>(count) * sizeof(padded[0]));
  return Format::load(padded);
}

// Rows of weights, `stride` bytes from one to the next.
struct FloatRows {
  const std::byte* first;
  size_t stride;
};

template <class V, class Format, size_t kRows, size_t kNumX>
RUVLLM_NEVER_INLINE void multiply_float_tile(const MatmulArgs& args, FloatRows rows, size_t first_x,
                                             float* dst) {
  using Element = typename Format::Element;
  const int32_t num_cols = args.num_cols;
  const Element* weights[kRows];
  const float* x[kNumX];
  V acc[kRows][kNumX];
  for (size_t r = 0; r < kRows; ++r) {
    weights[r] = reinterpret_cast<const Element*>(rows.first + r * rows.stride);
    for (size_t i = 0; i < kNumX; ++i) acc[r][i] = V::zero();
  }
  for (size_t i = 0; i < kNumX; ++i) {
    x[i] = args.x.f32 + (first_x + i) * static_cast<size_t>(num_cols);
  }
  int32_t k = 0;
  for (; k + V::kLanes <= num_cols; k += V::kLanes) {
    V xs[kNumX];
    for (size_t i = 0; i < kNumX; ++i) xs[i] = V::load(x[i] + k);
    for (size_t r = 0; r < kRows; ++r) {
      const V w = Format::load(weights[r] + k);
      for (size_t i = 0; i < kNumX; ++i) acc[r][i] = V::mul_add(w, xs[i], acc[r][i]);
    }
  }
  if (const int32_t rest = num_cols - k; rest > 0) {
    for (size_t r = 0; r < kRows; ++r) {
      const V w = load_float_partial<V, Format>(weights[r] + k, rest);
      for (size_t i = 0; i < kNumX; ++i) {
        acc[r][i] = V::mul_add(w, V::load_partial(x[i] + k, rest, 0.0f), acc[r][i]);
      }
    }
  }
  for (size_t i = 0; i < kNumX; ++i) {
    for (size_t r = 0; r < kRows; ++r) dst[i * args.dst_stride + r] = acc[r][i].horizontal_sum();
  }
}

template <class V, class Format, size_t kRows, size_t kNumX>
RUVLLM_ALWAYS_INLINE void multiply_float_rows(const MatmulArgs& args, FloatRows rows,
                                              size_t num_rows, size_t first_x, float* dst) {
  size_t r = 0;
  for (; r + kRows <= num_rows; r += kRows) {
    multiply_float_tile<V, Format, kRows, kNumX>(args, {rows.first + r * rows.stride, rows.stride},
                                                 first_x, dst + r);
  }
  for (; r < num_rows; ++r) {
    multiply_float_tile<V, Format, 1, kNumX>(args, {rows.first + r * rows.stride, rows.stride},
                                             first_x, dst + r);
  }
}

// Tiles of num_x <= kNumX rows of x; a single one takes more weight rows.
template <class V, class Format, class Tile, size_t kNumX = Tile::kNumX>
RUVLLM_ALWAYS_INLINE void multiply_float_some(const MatmulArgs& args, FloatRows rows,
                                              size_t num_rows, size_t num_x, size_t first_x,
                                              float* dst) {
  if (num_x == kNumX) {
    constexpr size_t kRows = kNumX == 1 ? Tile::kSingleRows : Tile::kRows;
    multiply_float_rows<V, Format, kRows, kNumX>(args, rows, num_rows, first_x, dst);
  } else if constexpr (kNumX > 1) {
    multiply_float_some<V, Format, Tile, kNumX - 1>(args, rows, num_rows, num_x, first_x, dst);
  }
}

template <class V, class Format, class Tile>
RUVLLM_ALWAYS_INLINE void multiply_float_all_x(const MatmulArgs& args, FloatRows rows,
                                               size_t num_rows, float* dst) {
  const auto num_x = static_cast<size_t>(args.num_x_rows);
  for (size_t m = 0; m < num_x;) {
    const size_t left = num_x - m;
    const size_t tiles = (left + Tile::kNumX - 1) / Tile::kNumX;
    const size_t count = (left + tiles - 1) / tiles;
    multiply_float_some<V, Format, Tile>(args, rows, num_rows, count, m, dst + m * args.dst_stride);
    m += count;
  }
}

// MatmulKernel::gemv, and gemm of f32: weight rows outermost, in strips that stay in the
// second-level cache while all rows of x pass.
template <class V, class Format, class Tile>
RUVLLM_ALWAYS_INLINE void matmul_float(const MatmulArgs& args) {
  const auto num_rows = static_cast<size_t>(args.num_weight_rows);
  for (size_t r = 0; r < num_rows; r += Tile::kStripRows) {
    const size_t count = num_rows - r < Tile::kStripRows ? num_rows - r : Tile::kStripRows;
    const FloatRows rows = {args.weights + r * args.weight_row_stride, args.weight_row_stride};
    multiply_float_all_x<V, Format, Tile>(args, rows, count, args.dst + r);
  }
}

// MatmulKernel::gemm of f16 and bf16: the strip is converted first, [kStripRows, num_cols].
template <class V, class Format, class Tile>
RUVLLM_ALWAYS_INLINE void matmul_converting(const MatmulArgs& args) {
  const auto num_rows = static_cast<size_t>(args.num_weight_rows);
  const auto num_cols = static_cast<size_t>(args.num_cols);
  auto* strip = reinterpret_cast<float*>(args.scratch);
  for (size_t r = 0; r < num_rows; r += Tile::kStripRows) {
    const size_t count = num_rows - r < Tile::kStripRows ? num_rows - r : Tile::kStripRows;
    for (size_t i = 0; i < count; ++i) {
      const auto* src = reinterpret_cast<const typename Format::Element*>(
          args.weights + (r + i) * args.weight_row_stride);
      float* row = strip + i * num_cols;
      size_t k = 0;
      for (; k + V::kLanes <= num_cols; k += V::kLanes) Format::load(src + k).store(row + k);
      const auto rest = static_cast<int32_t>(num_cols - k);
      if (rest > 0) load_float_partial<V, Format>(src + k, rest).store_partial(row + k, rest);
    }
    const FloatRows rows = {reinterpret_cast<const std::byte*>(strip), num_cols * sizeof(float)};
    multiply_float_all_x<V, FloatWeights<V>, Tile>(args, rows, count, args.dst + r);
  }
}

}  // namespace
}  // namespace ruvllm::kernels
