// f32, f16 and bf16 weights.
//
// The order of an element's sum, the same for every tile: 8 lanes, lane l adding elements l, l + 8,
// ... with one fused multiply-add each (the last, partial vector padded with zeros), then
// ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)).
#include <cstddef>
#include <cstdint>

#include <arm_neon.h>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/neon/matmul/matmul.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

struct Eight {
  float32x4_t low, high;
};

struct F32 {
  using Element = float;
  static RUVLLM_ALWAYS_INLINE Eight load(const Element* src) {
    return {vld1q_f32(src), vld1q_f32(src + 4)};
  }
};

struct F16 {
  using Element = uint16_t;
  static RUVLLM_ALWAYS_INLINE Eight load(const Element* src) {
    const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(src));
    return {vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)};
  }
};

struct BF16 {
  using Element = uint16_t;
  static RUVLLM_ALWAYS_INLINE Eight load(const Element* src) {
    const uint16x8_t bits = vld1q_u16(src);
    return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(bits), 16)),
            vreinterpretq_f32_u32(vshll_high_n_u16(bits, 16))};
  }
};

// The `count` < 8 elements at src, then zeros.
template <class Format>
RUVLLM_ALWAYS_INLINE Eight load_partial(const typename Format::Element* src, size_t count) {
  typename Format::Element padded[8] = {};
  __builtin_memcpy(padded, src, count * sizeof(padded[0]));
  return Format::load(padded);
}

RUVLLM_ALWAYS_INLINE Eight add_products(Eight acc, Eight a, Eight b) {
  return {vfmaq_f32(acc.low, a.low, b.low), vfmaq_f32(acc.high, a.high, b.high)};
}

RUVLLM_ALWAYS_INLINE float sum_of(Eight value) {
  const float32x4_t four = vaddq_f32(value.low, value.high);
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

template <class Format, size_t kRows, size_t kNumX>
RUVLLM_NEVER_INLINE void tile(const MatmulArgs& args, size_t first_row, size_t first_x) {
  using Element = typename Format::Element;
  const size_t num_cols = static_cast<size_t>(args.num_cols);
  const Element* weights[kRows];
  const float* x[kNumX];
  Eight acc[kRows][kNumX] = {};
  for (size_t r = 0; r < kRows; ++r) {
    weights[r] =
        reinterpret_cast<const Element*>(args.weights + (first_row + r) * args.weight_row_stride);
  }
  for (size_t i = 0; i < kNumX; ++i) x[i] = args.x.f32 + (first_x + i) * num_cols;

  size_t k = 0;
  for (; k + 8 <= num_cols; k += 8) {
    Eight xs[kNumX];
    for (size_t i = 0; i < kNumX; ++i) xs[i] = F32::load(x[i] + k);
    for (size_t r = 0; r < kRows; ++r) {
      const Eight w = Format::load(weights[r] + k);
      for (size_t i = 0; i < kNumX; ++i) acc[r][i] = add_products(acc[r][i], w, xs[i]);
    }
  }
  if (k < num_cols) {
    for (size_t r = 0; r < kRows; ++r) {
      const Eight w = load_partial<Format>(weights[r] + k, num_cols - k);
      for (size_t i = 0; i < kNumX; ++i) {
        acc[r][i] = add_products(acc[r][i], w, load_partial<F32>(x[i] + k, num_cols - k));
      }
    }
  }
  for (size_t i = 0; i < kNumX; ++i) {
    float* dst = args.dst + (first_x + i) * args.dst_stride + first_row;
    for (size_t r = 0; r < kRows; ++r) dst[r] = sum_of(acc[r][i]);
  }
}

template <class Format, size_t kNumX>
RUVLLM_ALWAYS_INLINE void all_rows(const MatmulArgs& args, size_t first_row, size_t end_row,
                                   size_t first_x) {
  constexpr size_t kRows = kNumX == 1 ? 8 : 4;
  size_t r = first_row;
  for (; r + kRows <= end_row; r += kRows) tile<Format, kRows, kNumX>(args, r, first_x);
  for (; r < end_row; ++r) tile<Format, 1, kNumX>(args, r, first_x);
}

// Weight rows outermost, in strips that stay in the second-level cache while all x rows pass.
template <class Format>
void matmul_float(const MatmulArgs& args) noexcept {
  constexpr size_t kStripRows = 16;
  const size_t num_rows = static_cast<size_t>(args.num_weight_rows);
  const size_t num_x = static_cast<size_t>(args.num_x_rows);
  for (size_t r = 0; r < num_rows; r += kStripRows) {
    const size_t end = num_rows - r < kStripRows ? num_rows : r + kStripRows;
    size_t m = 0;
    for (; m + 3 <= num_x; m += 3) all_rows<Format, 3>(args, r, end, m);
    if (num_x - m == 2) all_rows<Format, 2>(args, r, end, m);
    if (num_x - m == 1) all_rows<Format, 1>(args, r, end, m);
  }
}

}  // namespace

void overlay_neon_float_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  const auto set = [&](DType dtype, const char* name, MatmulFn function) {
    MatmulKernel& kernel = matmul[static_cast<size_t>(dtype)];
    kernel.name = name;
    kernel.gemv = function;
    kernel.gemm = function;
  };
  set(DType::kF32, "neon f32", matmul_float<F32>);
  set(DType::kF16, "neon f16", matmul_float<F16>);
  set(DType::kBF16, "neon bf16", matmul_float<BF16>);
}

}  // namespace ruvllm::kernels
