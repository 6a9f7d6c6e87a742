// Loops around the block kernels of the quantized types.
//
// A Format provides
//   kBlockElements, kBlockBytes, kGroupElements (activations per float scale)
//   kPanelElements                   columns decoded at a time
//   struct Panel                     one decoded block of 16 rows, lane = row
//   if a block is a superblock:
//     struct RowPart                 the integer sums of one block of one row times one x row
//     row_block<kNumX>(block, x, block_idx, parts)
//         parts[8 * i] = those of one row times x[i]
//     add_rows(parts, x, block_idx, acc)
//         acc + the parts of 8 rows, parts[0] to parts[7], lane = row
//   otherwise:
//     gemv_block<kNumX>(weights, stride, x, block_idx, acc)
//         adds one block of 8 rows times kNumX x rows to acc[x], lane = row
//   decode(weights, stride, panel)   one block of 16 rows
//   tile<kNumX>(panels, num_blocks, x, first_block, acc)
//       adds num_blocks blocks of 16 rows times kNumX x rows to acc[x][2]
// Both ways compute the same exact integers and the same chain of floats, so their bits agree.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/matmul_simd.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/x_row.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels::avx2 {

// kPanelElements where a decoded weight takes a byte: 16 rows stay in the first-level cache.
constexpr int kBytePanelElements = 1024;
// With few x rows the panel is one superblock, so that reading weights and multiplying overlap.
constexpr int kSmallPanelElements = 256;
constexpr int kSmallNumX = 16;

// A gemv step takes 8 weight rows times up to 3 x rows, in one of two orders (measured on Zen 4).
constexpr size_t kMaxGemvX = 3;

// isum of the parts of 8 rows, lane = row.
template <class RowPart>
RUVLLM_INLINE __m256i reduce_parts(const RowPart* parts) {
  __m256i rows[kGroupRows];
  for (int r = 0; r < kGroupRows; ++r) rows[r] = load256(parts[r].isum);
  return reduce_rows_i32(rows);
}

// Superblocks: each row from its first byte to its last, so that a chunk of rows is one linear
// stream, which the hardware prefetcher follows: a fifth faster than 8 rows in step. The sums of a
// segment of blocks wait in the first-level cache for the float chain, which takes 8 rows at once.
constexpr int kSegmentBlocks = 40;

template <class Format, size_t kNumX>
RUVLLM_INLINE void gemv_row_by_row(const MatmulArgs& args, const uint8_t* weights, size_t stride,
                                   const XRow* x, __m256* acc) {
  alignas(64) typename Format::RowPart parts[kSegmentBlocks][kNumX][kGroupRows];
  const int num_blocks = args.num_cols / Format::kBlockElements;
  for (int first = 0; first < num_blocks; first += kSegmentBlocks) {
    const int count = num_blocks - first < kSegmentBlocks ? num_blocks - first : kSegmentBlocks;
    for (size_t r = 0; r < kGroupRows; ++r) {
      const uint8_t* block =
          weights + r * stride + static_cast<size_t>(first) * Format::kBlockBytes;
      for (int b = 0; b < count; ++b, block += Format::kBlockBytes) {
        prefetch_second_level(block + kAheadBytes, Format::kBlockBytes);
        Format::template row_block<kNumX>(block, x, first + b, &parts[b][0][r]);
      }
    }
    for (int b = 0; b < count; ++b) {
      for (size_t i = 0; i < kNumX; ++i) {
        acc[i] = Format::add_rows(parts[b][i], x[i], first + b, acc[i]);
      }
    }
  }
}

// Blocks of 32: their sums would be more bytes than the weights, so 8 rows go in step, and software
// prefetches the next 8 in the order of the file.
template <class Format, size_t kNumX>
RUVLLM_INLINE void gemv_rows_in_step(const MatmulArgs& args, const uint8_t* weights, size_t stride,
                                     const XRow* x, __m256* acc) {
  constexpr int kStepBytes = kGroupRows * Format::kBlockBytes;
  const uint8_t* next = weights + kGroupRows * stride;
  const int num_blocks = args.num_cols / Format::kBlockElements;
  const bool into_first_level = num_blocks * kStepBytes <= kFarBytes;
  for (int block_idx = 0; block_idx < num_blocks; ++block_idx) {
    prefetch_second_level(next + kFarBytes, kStepBytes);
    if (into_first_level) prefetch_first_level(next, kStepBytes);
    Format::template gemv_block<kNumX>(weights, stride, x, block_idx, acc);
    weights += Format::kBlockBytes;
    next += kStepBytes;
  }
}

template <class Format, size_t kNumX>
RUVLLM_INLINE void gemv_rows(const MatmulArgs& args, const uint8_t* weights, size_t stride,
                             size_t first_x, float out[kNumX][8]) {
  XRow x[kNumX];
  __m256 acc[kNumX];
  for (size_t i = 0; i < kNumX; ++i) {
    x[i] = x_row(args, first_x + i, Format::kGroupElements);
    acc[i] = _mm256_setzero_ps();
  }
  if constexpr (Format::kBlockElements == kSuperblock) {
    gemv_row_by_row<Format, kNumX>(args, weights, stride, x, acc);
  } else {
    gemv_rows_in_step<Format, kNumX>(args, weights, stride, x, acc);
  }
  for (size_t i = 0; i < kNumX; ++i) _mm256_storeu_ps(out[i], acc[i]);
}

template <class Format, size_t kNumX>
static __attribute__((noinline)) void gemv_rows_to(const MatmulArgs& args, const uint8_t* weights,
                                                   size_t stride, size_t first_x, float* dst,
                                                   int num_stored) {
  float out[kNumX][8];
  gemv_rows<Format, kNumX>(args, weights, stride, first_x, out);
  for (size_t i = 0; i < kNumX; ++i) {
    float* row = dst + i * args.dst_stride;
    if (num_stored == kGroupRows) {
      __builtin_memcpy(row, out[i], sizeof(out[i]));
    } else {
      for (int r = 0; r < num_stored; ++r) row[r] = out[i][r];
    }
  }
}

template <class Format>
RUVLLM_INLINE void gemv_all_x(const MatmulArgs& args, const uint8_t* weights, size_t stride,
                              float* dst, int num_stored) {
  const size_t num_x = static_cast<size_t>(args.num_x_rows);
  for (size_t m = 0; m < num_x;) {
    float* out = dst + m * args.dst_stride;
    switch (num_x - m) {
      case 1:
        gemv_rows_to<Format, 1>(args, weights, stride, m, out, num_stored);
        return;
      case kMaxGemvX:
        gemv_rows_to<Format, kMaxGemvX>(args, weights, stride, m, out, num_stored);
        return;
      default:
        gemv_rows_to<Format, 2>(args, weights, stride, m, out, num_stored);
        m += 2;
    }
  }
}

template <class Format>
RUVLLM_INLINE void gemv(const MatmulArgs& args) {
  const auto* weights = reinterpret_cast<const uint8_t*>(args.weights);
  const size_t stride = args.weight_row_stride;
  const int32_t num_rows = args.num_weight_rows;
  if (num_rows < kGroupRows) {  // stride 0: one row in all lanes
    for (int32_t r = 0; r < num_rows; ++r) {
      gemv_all_x<Format>(args, weights + static_cast<size_t>(r) * stride, 0, args.dst + r, 1);
    }
    return;
  }
  for (int32_t r = 0; r < num_rows; r += kGroupRows) {
    // The last group overlaps the one before it and stores the same values again.
    const int32_t first = r + kGroupRows <= num_rows ? r : num_rows - kGroupRows;
    gemv_all_x<Format>(args, weights + static_cast<size_t>(first) * stride, stride,
                       args.dst + first, kGroupRows);
  }
}

// The inner loop of the tiles with byte panels: sum[x][group] = the products of kQuads quads of 16
// rows ([quad of k][group of 8 rows], lane = row) with kNumX x rows from element k on. The caller
// sees to it that 2 * kQuads products fit int16. Signed weights take the sign over to x.
template <size_t kNumX, int kQuads, bool kSigned = false>
RUVLLM_INLINE void multiply_quads(const uint8_t (*weights)[2][32], const XRow* x, ptrdiff_t k,
                                  __m256i sum[kNumX][2]) {
  for (int j = 0; j < kQuads; ++j) {
    const __m256i w0 = load256(weights[j][0]);
    const __m256i w1 = load256(weights[j][1]);
    for (size_t i = 0; i < kNumX; ++i) {
      const __m256i q8 = broadcast_i32(x[i].q8 + k + 4 * j);
      __m256i p0, p1;
      if constexpr (kSigned) {
        p0 = _mm256_maddubs_epi16(_mm256_abs_epi8(w0), _mm256_sign_epi8(q8, w0));
        p1 = _mm256_maddubs_epi16(_mm256_abs_epi8(w1), _mm256_sign_epi8(q8, w1));
      } else {
        p0 = _mm256_maddubs_epi16(w0, q8);
        p1 = _mm256_maddubs_epi16(w1, q8);
      }
      sum[i][0] = j == 0 ? p0 : _mm256_add_epi16(sum[i][0], p0);
      sum[i][1] = j == 0 ? p1 : _mm256_add_epi16(sum[i][1], p1);
    }
  }
}

template <class Format, size_t kNumX>
static __attribute__((noinline)) void tile_to(const MatmulArgs& args,
                                              const typename Format::Panel* panels, int num_blocks,
                                              int first_block, size_t first_x, float* dst) {
  XRow x[kNumX];
  __m256 acc[kNumX][2];
  for (size_t i = 0; i < kNumX; ++i) {
    x[i] = x_row(args, first_x + i, Format::kGroupElements);
    const float* row = dst + i * args.dst_stride;
    acc[i][0] = first_block == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(row);
    acc[i][1] = first_block == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(row + 8);
  }
  Format::template tile<kNumX>(panels, num_blocks, x, first_block, acc);
  for (size_t i = 0; i < kNumX; ++i) {
    float* row = dst + i * args.dst_stride;
    _mm256_storeu_ps(row, acc[i][0]);
    _mm256_storeu_ps(row + 8, acc[i][1]);
  }
}

template <class Format>
RUVLLM_INLINE void tile_all_x(const MatmulArgs& args, const typename Format::Panel* panels,
                              int num_blocks, int first_block, float* dst) {
  const size_t num_x = static_cast<size_t>(args.num_x_rows);
  for (size_t m = 0; m < num_x;) {
    const size_t left = num_x - m;
    float* out = dst + m * args.dst_stride;
    if (left == 1) {
      tile_to<Format, 1>(args, panels, num_blocks, first_block, m, out);
      m += 1;
    } else if (left == 2) {
      tile_to<Format, 2>(args, panels, num_blocks, first_block, m, out);
      m += 2;
    } else if (left == 3 || left == 5 || left == 6) {  // 3 + 2 and 3 + 3 beat 4 + 1 and 4 + 2
      tile_to<Format, 3>(args, panels, num_blocks, first_block, m, out);
      m += 3;
    } else {
      tile_to<Format, kMaxTileX>(args, panels, num_blocks, first_block, m, out);
      m += kMaxTileX;
    }
  }
}

// `prefetch`: the first byte of the same blocks in the next 16 rows, as if rows were contiguous.
template <class Format>
static __attribute__((noinline)) void decode_panel(const uint8_t* weights, size_t stride,
                                                   int num_blocks, const uint8_t* prefetch,
                                                   typename Format::Panel* panels) {
  constexpr int kStepBytes = kSliceRows * Format::kBlockBytes;
  for (int i = 0; i < num_blocks; ++i) {
    prefetch_second_level(prefetch + static_cast<size_t>(i) * kStepBytes, kStepBytes);
    Format::decode(weights + static_cast<size_t>(i) * Format::kBlockBytes, stride, &panels[i]);
  }
}

template <class Format>
RUVLLM_INLINE void gemm(const MatmulArgs& args) {
  const int32_t num_rows = args.num_weight_rows;
  if (num_rows < kSliceRows) {
    gemv<Format>(args);
    return;
  }
  auto* panels = reinterpret_cast<typename Format::Panel*>(args.scratch);
  const size_t stride = args.weight_row_stride;
  const int num_blocks = args.num_cols / Format::kBlockElements;
  const int panel_blocks =
      (args.num_x_rows <= kSmallNumX ? kSmallPanelElements : Format::kPanelElements) /
      Format::kBlockElements;
  for (int32_t r = 0; r < num_rows; r += kSliceRows) {
    const int32_t first = r + kSliceRows <= num_rows ? r : num_rows - kSliceRows;
    const auto* weights =
        reinterpret_cast<const uint8_t*>(args.weights) + static_cast<size_t>(first) * stride;
    for (int b = 0; b < num_blocks; b += panel_blocks) {
      const int count = num_blocks - b < panel_blocks ? num_blocks - b : panel_blocks;
      const uint8_t* next =
          weights + kSliceRows * stride + static_cast<size_t>(b) * kSliceRows * Format::kBlockBytes;
      decode_panel<Format>(weights + static_cast<size_t>(b) * Format::kBlockBytes, stride, count,
                           next, panels);
      tile_all_x<Format>(args, panels, count, b, args.dst + first);
    }
  }
}

template <class Format>
constexpr size_t panel_scratch_bytes() {
  return sizeof(typename Format::Panel) * (Format::kPanelElements / Format::kBlockElements);
}

}  // namespace ruvllm::kernels::avx2
