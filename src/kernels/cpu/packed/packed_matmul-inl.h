// Loops over packed slices (packed_formats-inl.h): products of packed matrices, and of matrices as
// the file stores them, whose slices are packed on the way.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_formats-inl.h"
#include "kernels/cpu/packed/packed_layout.h"

namespace ruvllm::kernels {
namespace {

template <class Format>
constexpr size_t kWordsBytes = static_cast<size_t>(Format::kWords) * kPackedVectorBytes;
template <class Format>
constexpr size_t kHalvesBytes = static_cast<size_t>(Format::kHalfBytes) * kSliceRows;
// The blocks that all rows of x walk over before the next ones stay in the first-level cache.
template <class Format>
constexpr int kChunkBlocks = kSliceChunkElements / Format::kBlockElements;

// Consecutive blocks of one slice.
struct SlicePart {
  const uint8_t* words;
  const uint8_t* halves;
  int num_blocks;
  int first_block;  // in the row
  int num_rows;     // of the slice's 16 that exist
};

// dst[x][row] = what is there before first_block, plus the part's products.
template <class V, class Format, size_t kNumX>
RUVLLM_NEVER_INLINE void multiply_part(const MatmulArgs& args, const SlicePart& part,
                                       size_t first_x, float* dst) {
  using Float = typename V::Float;
  XRow x[kNumX];
  for (size_t i = 0; i < kNumX; ++i) x[i] = x_row(args, first_x + i, Format::kGroupElements);
  for (int lane = 0; lane < part.num_rows; lane += V::kLanes) {
    const int num_rows = part.num_rows - lane < V::kLanes ? part.num_rows - lane : V::kLanes;
    float* out = dst + lane;
    Float acc[kNumX];
    for (size_t i = 0; i < kNumX; ++i) {
      acc[i] = part.first_block == 0 ? V::zero_float()
                                     : V::load_floats(out + i * args.dst_stride, num_rows);
    }
    const uint8_t* words = part.words + 4 * lane;
    const uint8_t* halves = part.halves + Format::kHalfBytes * lane;
    for (int b = 0; b < part.num_blocks; ++b) {
      Format::template add_block<kNumX>(words, halves, x, part.first_block + b, acc);
      words += kWordsBytes<Format>;
      halves += kHalvesBytes<Format>;
    }
    for (size_t i = 0; i < kNumX; ++i) {
      V::store_floats(out + i * args.dst_stride, acc[i], num_rows);
    }
  }
}

// Tiles of nearly equal height, so that no thin one is left over.
template <class V, class Format, size_t kNumX = V::kMaxX>
RUVLLM_ALWAYS_INLINE void multiply_tile(size_t num_x, const MatmulArgs& args, const SlicePart& part,
                                        size_t first_x, float* dst) {
  if (num_x == kNumX) {
    multiply_part<V, Format, kNumX>(args, part, first_x, dst);
  } else if constexpr (kNumX > 1) {
    multiply_tile<V, Format, kNumX - 1>(num_x, args, part, first_x, dst);
  }
}

template <class V, class Format>
RUVLLM_ALWAYS_INLINE void multiply_all_x(const MatmulArgs& args, const SlicePart& part,
                                         float* dst) {
  const size_t num_x = static_cast<size_t>(args.num_x_rows);
  for (size_t m = 0; m < num_x;) {
    const size_t left = num_x - m;
    const size_t tiles = (left + V::kMaxX - 1) / V::kMaxX;
    const size_t count = (left + tiles - 1) / tiles;
    multiply_tile<V, Format>(count, args, part, m, dst + m * args.dst_stride);
    m += count;
  }
}

// Of the slice that begins at `row`, those that exist.
RUVLLM_ALWAYS_INLINE int rows_of_slice(const MatmulArgs& args, int32_t row) {
  return args.num_weight_rows - row < kSliceRows ? args.num_weight_rows - row : kSliceRows;
}

// MatmulKernel::packed
template <class V, class Format>
void matmul_packed(const MatmulArgs& args) {
  const int num_blocks = args.num_cols / Format::kBlockElements;
  // Few rows of x take a slice in one pass, in the order of memory.
  const bool is_one_pass = args.num_x_rows <= static_cast<int32_t>(V::kMaxX);
  const int step = is_one_pass ? num_blocks : kChunkBlocks<Format>;
  for (int32_t r = 0; r < args.num_weight_rows; r += kSliceRows) {
    const auto* slice = reinterpret_cast<const uint8_t*>(args.weights) +
                        static_cast<size_t>(r) * args.weight_row_stride;
    const uint8_t* halves = slice + static_cast<size_t>(num_blocks) * kWordsBytes<Format>;
    const int num_rows = rows_of_slice(args, r);
    for (int b = 0; b < num_blocks; b += step) {
      const SlicePart part = {slice + static_cast<size_t>(b) * kWordsBytes<Format>,
                              halves + static_cast<size_t>(b) * kHalvesBytes<Format>,
                              num_blocks - b < step ? num_blocks - b : step, b, num_rows};
      multiply_all_x<V, Format>(args, part, args.dst + r);
    }
  }
}

// MatmulKernel::gemm
template <class V, class Format>
void matmul_packing(const MatmulArgs& args, const PackedLayout& layout) {
  constexpr int kStep = kChunkBlocks<Format>;
  const int num_blocks = args.num_cols / Format::kBlockElements;
  auto* scratch = reinterpret_cast<const uint8_t*>(args.scratch);
  for (int32_t r = 0; r < args.num_weight_rows; r += kSliceRows) {
    const std::byte* rows = args.weights + static_cast<size_t>(r) * args.weight_row_stride;
    const int num_rows = rows_of_slice(args, r);
    for (int b = 0; b < num_blocks; b += kStep) {
      const int count = num_blocks - b < kStep ? num_blocks - b : kStep;
      V::pack_slice(layout, rows + static_cast<size_t>(b) * static_cast<size_t>(layout.block_bytes),
                    args.weight_row_stride, num_rows, count, args.scratch);
      const SlicePart part = {scratch, scratch + static_cast<size_t>(count) * kWordsBytes<Format>,
                              count, b, num_rows};
      multiply_all_x<V, Format>(args, part, args.dst + r);
    }
  }
}

}  // namespace
}  // namespace ruvllm::kernels
