// f32, f16 and bf16 weights on AVX2.
//
// The order of an element's sum, the same for every tile: 8 lanes, lane l adding elements l, l + 8,
// ... with one fused multiply-add each (the last, partial vector padded with zeros), then
// ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)).
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/matmul_entries.h"
#include "kernels/cpu/avx2/matmul_simd.h"
#include "kernels/cpu/matmul.h"

namespace ruvllm::kernels::avx2 {
namespace {

struct F32 {
  using Element = float;
  RUVLLM_INLINE __m256 load(const uint8_t* src) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(src));
  }
};

struct F16 {
  using Element = uint16_t;
  RUVLLM_INLINE __m256 load(const uint8_t* src) { return _mm256_cvtph_ps(load128(src)); }
};

struct BF16 {
  using Element = uint16_t;
  RUVLLM_INLINE __m256 load(const uint8_t* src) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(src)), 16));
  }
};

// The `count` < 8 elements at src, then zeros.
template <class Format>
RUVLLM_INLINE __m256 load_partial(const uint8_t* src, int count) {
  typename Format::Element padded[8] = {};
  __builtin_memcpy(padded, src, static_cast<size_t>(count) * sizeof(padded[0]));
  return Format::load(reinterpret_cast<const uint8_t*>(padded));
}

RUVLLM_INLINE float reduce_lanes(__m256 value) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

template <class Format, size_t kRows, size_t kNumX>
static __attribute__((noinline)) void tile(const MatmulArgs& args, size_t first_row,
                                           size_t first_x) {
  const size_t num_cols = static_cast<size_t>(args.num_cols);
  const uint8_t* weights[kRows];
  const float* x[kNumX];
  __m256 acc[kRows][kNumX];
  for (size_t r = 0; r < kRows; ++r) {
    weights[r] =
        reinterpret_cast<const uint8_t*>(args.weights) + (first_row + r) * args.weight_row_stride;
    for (size_t i = 0; i < kNumX; ++i) acc[r][i] = _mm256_setzero_ps();
  }
  for (size_t i = 0; i < kNumX; ++i) x[i] = args.x.f32 + (first_x + i) * num_cols;

  constexpr size_t kElementBytes = sizeof(typename Format::Element);
  size_t k = 0;
  for (; k + 8 <= num_cols; k += 8) {
    __m256 xs[kNumX];
    for (size_t i = 0; i < kNumX; ++i) xs[i] = _mm256_loadu_ps(x[i] + k);
    for (size_t r = 0; r < kRows; ++r) {
      const __m256 w = Format::load(weights[r] + k * kElementBytes);
      for (size_t i = 0; i < kNumX; ++i) acc[r][i] = _mm256_fmadd_ps(w, xs[i], acc[r][i]);
    }
  }
  const int rest = static_cast<int>(num_cols - k);
  if (rest > 0) {
    for (size_t r = 0; r < kRows; ++r) {
      const __m256 w = load_partial<Format>(weights[r] + k * kElementBytes, rest);
      for (size_t i = 0; i < kNumX; ++i) {
        const __m256 xs = load_partial<F32>(reinterpret_cast<const uint8_t*>(x[i] + k), rest);
        acc[r][i] = _mm256_fmadd_ps(w, xs, acc[r][i]);
      }
    }
  }
  for (size_t i = 0; i < kNumX; ++i) {
    float* dst = args.dst + (first_x + i) * args.dst_stride + first_row;
    for (size_t r = 0; r < kRows; ++r) dst[r] = reduce_lanes(acc[r][i]);
  }
}

template <class Format, size_t kNumX>
RUVLLM_INLINE void all_rows(const MatmulArgs& args, size_t first_row, size_t end_row,
                            size_t first_x) {
  constexpr size_t kRows = kNumX == 1 ? 8 : 4;
  size_t r = first_row;
  for (; r + kRows <= end_row; r += kRows) tile<Format, kRows, kNumX>(args, r, first_x);
  for (; r < end_row; ++r) tile<Format, 1, kNumX>(args, r, first_x);
}

// Weight rows outermost, in strips that stay in the second-level cache while all x rows pass.
template <class Format>
RUVLLM_INLINE void matmul(const MatmulArgs& args) {
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

void matmul_f32(const MatmulArgs& args) noexcept { matmul<F32>(args); }
void matmul_f16(const MatmulArgs& args) noexcept { matmul<F16>(args); }
void matmul_bf16(const MatmulArgs& args) noexcept { matmul<BF16>(args); }

}  // namespace ruvllm::kernels::avx2
