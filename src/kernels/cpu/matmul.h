// Matrix products with quantized weights: the function types that every CPU ISA fills in.
//
// dst[m, r] = sum over k of weight[r, k] * x[m, k], weights as the file stores them
// (tensor/blocks.h).
//
// Determinism: an element's bits depend on its weight row and its x row alone; not on how many
// other rows of either are in the call, nor on gemv or gemm, nor on the thread. Quantized types
// also give the same bits on every ISA, because integer sums are exact and the float part is this
// chain, in the order of k, one fused multiply-add a step:
//   blocks of 32 (q4_0, q5_0, q8_0, mxfp4, iq4_nl):
//       acc = fma(d_w * d_x, float(isum), acc)
//   q4_1, q5_1:  the same, then acc = fma(m_w * d_x, float(xsum), acc), xsum = sum_k x
//   superblocks with minimums (q2_K, q4_K, q5_K):
//       acc = fma(d_w * d_x, float(isum), acc)
//       acc = fma(-(dmin_w * d_x), float(msum), acc)
//   other superblocks (q3_K, q6_K, iq4_xs, iq1, iq2, iq3, tq1_0, tq2_0):
//       acc = fma(d_w * d_x, float(isum), acc)
// where isum holds the integer block scales and offsets: sum_j scale_j * sum_k (q - offset) * x,
// and msum = sum_j min_j * sum_k x. Halves, quarters and eighths in a format's formula are part of
// d_w, where they are exact: iq2 has d / 8 and odd scales, iq3_xxs d / 4, iq1 d / 8 with the levels
// 8 * grid +- 1, mxfp4 half the power of two with doubled levels. Float types (f32, f16, bf16) fix
// their own order for each ISA.
//
// Grouped products of f16 and bf16 (KernelTable::grouped_matmul) are integers as well. The 32
// weights of a group whose largest magnitude is in [2^e, 2^(e + 1)) are rounded to nearest-even
// multiples of d_w = 2^(e - 12), exactly what they are from 2^(e - 2) (f16) or 2^(e - 5) (bf16) on;
// the chain is that of the blocks of 32. e is at least -14 (f16; the exponent of its subnormals) or
// -114 (bf16). A group with a weight that is not finite, or in bf16 from 2^117 on, has d_w = NaN.
//
// Thread-safe; no allocation; pointers need no alignment beyond that of their element type, except
// `scratch`: 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_layout.h"

namespace ruvllm::kernels {

struct PrefetchSpan;

enum class ActivationKind : uint8_t {
  kF32,         // float rows as they are
  kQ8Group32,   // int8 with a float scale per 32: d = amax / 127, q = round(x / d)
  kQ16Group32,  // int16 with a float scale per 32: d = amax / 32767; as good as float
  kQ14Group32,  // the same with d = amax / 8191: 32 products of 14 bits by 14 fit int32
  kQ8Group256,  // int8 with a float scale per 256
};

// Rows of activations, [num_rows, num_cols], contiguous. Values are in [-127, 127],
// [-32767, 32767] or [-8191, 8191]: the most negative integer never occurs. Which pointers are set
// depends on the kind.
struct ActivationRows {
  const float* f32 = nullptr;       // kF32
  const int8_t* q8 = nullptr;       // kQ8*
  const int16_t* q16 = nullptr;     // kQ16*, kQ14*
  const float* scales = nullptr;    // [num_rows, num_cols / group]
  const int16_t* sums16 = nullptr;  // kQ8Group256: sums of q8 over 16, [num_rows, num_cols / 16]
  const int16_t* sums32 = nullptr;  // kQ8*: sums of q8 over 32, [num_rows, num_cols / 32]
};

struct MatmulArgs {
  const std::byte* weights = nullptr;  // first row of this chunk
  size_t weight_row_stride = 0;        // bytes
  int32_t num_weight_rows = 0;         // any number >= 1
  int32_t num_cols = 0;                // k; whole blocks
  ActivationRows x;
  int32_t num_x_rows = 0;
  float* dst = nullptr;          // dst[m * dst_stride + r], r counted from this chunk's first row
  size_t dst_stride = 0;         // elements
  std::byte* scratch = nullptr;  // scratch_bytes(num_cols) bytes, private to the caller's thread
  // What the caller reads next (kernels/cpu/prefetch.h); products that are bound by arithmetic may
  // fetch it meanwhile.
  const PrefetchSpan* prefetch = nullptr;
  int32_t num_prefetch = 0;
};

// Weights of f16 and bf16 that share a scale in grouped products.
inline constexpr size_t kWeightGroup = 32;

// Weight rows that float products convert to f32 at a time; a multiple of all tiles' rows.
inline constexpr size_t kFloatStripRows = 24;

using MatmulFn = void (*)(const MatmulArgs& args) noexcept;

struct MatmulKernel {
  const char* name = nullptr;  // e.g. "avx2 q4_K", for reports
  ActivationKind activation = ActivationKind::kF32;
  // Streams the weights once for each few x rows; best for num_x_rows < gemm_min_x_rows.
  MatmulFn gemv = nullptr;
  // Decodes chunk_rows weight rows into a panel in scratch, then walks all x rows over it.
  MatmulFn gemm = nullptr;
  int32_t gemm_min_x_rows = 1;
  int32_t gemv_chunk_rows = 8;   // calls run best on multiples of this many weight rows
  int32_t gemm_chunk_rows = 64;  // no call of gemm has more weight rows than this
  size_t (*scratch_bytes)(int32_t num_cols) = nullptr;

  // For any number of x rows, with weights in packed slices: `weights` is the first byte of a
  // slice, weight_row_stride that of the file. Null: the type has no packed form.
  MatmulFn packed = nullptr;
  PackedLayout layout = {};
  PackSliceFn pack_slice = nullptr;
};

}  // namespace ruvllm::kernels
