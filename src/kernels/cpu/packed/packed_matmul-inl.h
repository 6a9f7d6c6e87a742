// Loops over packed slices (packed_formats-inl.h): products of packed matrices, and of matrices as
// the file stores them, whose slices are packed on the way.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_float16-inl.h"
#include "kernels/cpu/packed/packed_formats-inl.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/prefetch.h"

namespace ruvllm::kernels {
namespace {

template <class Format>
constexpr size_t kWordsBytes = static_cast<size_t>(Format::kWords) * kPackedVectorBytes;
template <class Format>
constexpr size_t kHalvesBytes = static_cast<size_t>(Format::kHalfBytes) * kSliceRows;
// The blocks that all rows of x walk over before the next ones stay in the first-level cache.
template <class Format>
constexpr int chunk_blocks() {
  if constexpr (requires { Format::kChunkElements; }) {
    return Format::kChunkElements / Format::kBlockElements;
  } else {
    return kSliceChunkElements / Format::kBlockElements;
  }
}
template <class Format>
constexpr int kChunkBlocks = chunk_blocks<Format>();  // whole groups

template <class Format>
constexpr size_t kSliceBlockBytes = kWordsBytes<Format> + kHalvesBytes<Format>;
// Blocks whose halves stand together: PackedLayout::group_blocks.
template <class Format>
constexpr int kGroupBlocks = Format::kHalfBytes == 0 ? 1 : 4 / Format::kHalfBytes;

// Consecutive blocks of one slice, from a group on.
struct SlicePart {
  const uint8_t* blocks;
  int num_blocks;
  int first_block;  // in the row
  int num_rows;     // of the slice's 16 that exist
};

// function(b, words, halves) for each block of the part, from row `lane` on.
template <class Format, class Function>
RUVLLM_ALWAYS_INLINE void for_each_block(const SlicePart& part, int lane,
                                         const Function& function) {
  const uint8_t* at = part.blocks;
  for (int b = 0; b < part.num_blocks; b += kGroupBlocks<Format>) {
    const int left = part.num_blocks - b;
    const int count = left < kGroupBlocks<Format> ? left : kGroupBlocks<Format>;
    const uint8_t* halves = at + Format::kHalfBytes * lane;
    const uint8_t* words = at + static_cast<size_t>(count) * kHalvesBytes<Format> + 4 * lane;
    for (int i = 0; i < count; ++i) {
      function(b + i, words, halves);
      words += kWordsBytes<Format>;
      halves += kHalvesBytes<Format>;
    }
    at += static_cast<size_t>(count) * kSliceBlockBytes<Format>;
  }
}

// dst[x][row] = what is there before first_block, plus the products of a part's blocks, for the
// vector of rows that begins at `lane`. Blocks gives them: add<kNumX>(part, lane, x, acc).
template <class V, class Format, size_t kNumX, class Blocks>
RUVLLM_ALWAYS_INLINE void multiply_rows(const MatmulArgs& args, const SlicePart& part, int lane,
                                        const Blocks& blocks, size_t first_x, float* dst) {
  XRow x[kNumX];
  for (size_t i = 0; i < kNumX; ++i) x[i] = x_row(args, first_x + i, Format::kGroupElements);
  const int num_rows = part.num_rows - lane < V::kLanes ? part.num_rows - lane : V::kLanes;
  float* out = dst + lane;
  typename V::Float acc[kNumX];
  for (size_t i = 0; i < kNumX; ++i) {
    acc[i] = part.first_block == 0 ? V::zero_float()
                                   : V::load_floats(out + i * args.dst_stride, num_rows);
  }
  blocks.template add<kNumX>(part, lane, x, acc);
  for (size_t i = 0; i < kNumX; ++i) V::store_floats(out + i * args.dst_stride, acc[i], num_rows);
}

// Blocks as they lie in a slice.
template <class V, class Format>
struct PackedBlocks {
  template <size_t kNumX>
  RUVLLM_ALWAYS_INLINE void add(const SlicePart& part, int lane, const XRow* x,
                                typename V::Float* acc) const {
    for_each_block<Format>(
        part, lane, [&](int b, const uint8_t* words, const uint8_t* halves) RUVLLM_INLINE_LAMBDA {
          Format::template add_block<kNumX>(words, halves, x, part.first_block + b, acc);
        });
  }
};

// Blocks taken apart into levels and scales.
template <class V, class Format>
struct DecodedBlocks {
  const typename Format::Decoded* blocks;

  template <size_t kNumX>
  RUVLLM_ALWAYS_INLINE void add(const SlicePart& part, int /*lane*/, const XRow* x,
                                typename V::Float* acc) const {
    for (int b = 0; b < part.num_blocks; ++b) {
      Format::template add_decoded<kNumX>(blocks[b], x, part.first_block + b, acc);
    }
  }
};

template <class V, class Format>
struct PackedTile {
  const SlicePart& part;

  template <size_t kNumX>
  RUVLLM_NEVER_INLINE void multiply(const MatmulArgs& args, size_t first_x, float* dst) const {
    for (int lane = 0; lane < part.num_rows; lane += V::kLanes) {
      multiply_rows<V, Format, kNumX>(args, part, lane, PackedBlocks<V, Format>{}, first_x, dst);
    }
  }
};

template <class V, class Format>
struct DecodedTile {
  const SlicePart& part;
  int lane;
  DecodedBlocks<V, Format> blocks;

  template <size_t kNumX>
  RUVLLM_NEVER_INLINE void multiply(const MatmulArgs& args, size_t first_x, float* dst) const {
    multiply_rows<V, Format, kNumX>(args, part, lane, blocks, first_x, dst);
  }
};

// Tiles of nearly equal height, so that no thin one is left over.
template <class V, size_t kNumX = V::kMaxX, class Tile>
RUVLLM_ALWAYS_INLINE void multiply_tile(size_t num_x, const Tile& tile, const MatmulArgs& args,
                                        size_t first_x, float* dst) {
  if (num_x == kNumX) {
    tile.template multiply<kNumX>(args, first_x, dst);
  } else if constexpr (kNumX > 1) {
    multiply_tile<V, kNumX - 1>(num_x, tile, args, first_x, dst);
  }
}

template <class V, class Tile>
RUVLLM_ALWAYS_INLINE void multiply_tiles(const Tile& tile, const MatmulArgs& args,
                                         PrefetchWalk& prefetch, float* dst) {
  const size_t num_x = static_cast<size_t>(args.num_x_rows);
  for (size_t m = 0; m < num_x;) {
    prefetch.step();
    const size_t left = num_x - m;
    const size_t tiles = (left + V::kMaxX - 1) / V::kMaxX;
    const size_t count = (left + tiles - 1) / tiles;
    multiply_tile<V>(count, tile, args, m, dst + m * args.dst_stride);
    m += count;
  }
}

// Superblocks taken apart once for several tiles: a level then costs a load.
template <class V, class Format>
RUVLLM_NEVER_INLINE void multiply_decoded(const MatmulArgs& args, const SlicePart& part,
                                          PrefetchWalk& prefetch, float* dst) {
  typename Format::Decoded decoded[kChunkBlocks<Format>];
  for (int lane = 0; lane < part.num_rows; lane += V::kLanes) {
    for_each_block<Format>(
        part, lane, [&](int b, const uint8_t* words, const uint8_t* halves) RUVLLM_INLINE_LAMBDA {
          Format::decode(words, halves, &decoded[b]);
        });
    const DecodedTile<V, Format> tile = {part, lane, {decoded}};
    multiply_tiles<V>(tile, args, prefetch, dst);
  }
}

template <class V, class Format>
RUVLLM_ALWAYS_INLINE void multiply_all_x(const MatmulArgs& args, const SlicePart& part,
                                         PrefetchWalk& prefetch, float* dst) {
  if constexpr (requires { Format::kIsWorthDecoding; }) {
    if constexpr (Format::kIsWorthDecoding) {
      if (args.num_x_rows >= V::kDecodeMinX) {
        multiply_decoded<V, Format>(args, part, prefetch, dst);
        return;
      }
    }
  }
  multiply_tiles<V>(PackedTile<V, Format>{part}, args, prefetch, dst);
}

// In the steps of multiply_tiles: one a tile of x, for each part of each slice.
template <class V, class Format>
PrefetchWalk prefetch_walk(const MatmulArgs& args, int step_blocks) {
  const auto ceil_div = [](int32_t value, int32_t divisor) {
    return static_cast<size_t>((value + divisor - 1) / divisor);
  };
  const size_t num_parts = ceil_div(args.num_cols / Format::kBlockElements, step_blocks);
  return {args.prefetch, args.num_prefetch,
          num_parts * ceil_div(args.num_weight_rows, kSliceRows) *
              ceil_div(args.num_x_rows, static_cast<int32_t>(V::kMaxX))};
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
  PrefetchWalk prefetch = prefetch_walk<V, Format>(args, step);
  for (int32_t r = 0; r < args.num_weight_rows; r += kSliceRows) {
    const auto* slice = reinterpret_cast<const uint8_t*>(args.weights) +
                        static_cast<size_t>(r) * args.weight_row_stride;
    const int num_rows = rows_of_slice(args, r);
    for (int b = 0; b < num_blocks; b += step) {
      const SlicePart part = {slice + static_cast<size_t>(b) * kSliceBlockBytes<Format>,
                              num_blocks - b < step ? num_blocks - b : step, b, num_rows};
      multiply_all_x<V, Format>(args, part, prefetch, args.dst + r);
    }
  }
}

// PackSliceFn
template <class V>
void pack_slice_with(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                     int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept {
  V::pack_slice(layout, rows, row_stride, num_rows, num_blocks, slice);
  if constexpr (HasRoundedPairs<V>) {
    if (layout.is_rounded()) round_slice<V>(layout, num_blocks, slice);
  }
}

// Packs blocks of a slice, `offset` bytes of it behind, and brings as many bytes of the slice that
// follows in memory into the second-level cache: its sixteen rows are more streams than the
// hardware prefetcher follows.
template <class V>
RUVLLM_ALWAYS_INLINE void pack_prefetching(const MatmulArgs& args, const PackedLayout& layout,
                                           const std::byte* rows, int num_rows, int num_blocks,
                                           size_t offset, const std::byte* next_slice) {
  constexpr size_t kLineBytes = 64;
  const int group = layout.group_blocks();
  const auto block_bytes = static_cast<size_t>(layout.block_bytes);
  std::byte* slice = args.scratch;
  for (int b = 0; b < num_blocks; b += group) {
    const int count = num_blocks - b < group ? num_blocks - b : group;
    pack_slice_with<V>(layout, rows + static_cast<size_t>(b) * block_bytes, args.weight_row_stride,
                       num_rows, count, slice);
    slice += layout.row_bytes(count * layout.block_elements) * kSliceRows;
    if (next_slice == nullptr) continue;
    const size_t bytes = static_cast<size_t>(count) * block_bytes * kSliceRows;
    for (size_t at = 0; at < bytes; at += kLineBytes) {
      __builtin_prefetch(next_slice + offset + at, 0, 2);
    }
    offset += bytes;
  }
}

// MatmulKernel::gemm
template <class V, class Format>
void matmul_packing(const MatmulArgs& args, const PackedLayout& layout) {
  constexpr int kStep = kChunkBlocks<Format>;
  const int num_blocks = args.num_cols / Format::kBlockElements;
  const auto block_bytes = static_cast<size_t>(layout.block_bytes);
  auto* scratch = reinterpret_cast<const uint8_t*>(args.scratch);
  PrefetchWalk prefetch = prefetch_walk<V, Format>(args, kStep);
  for (int32_t r = 0; r < args.num_weight_rows; r += kSliceRows) {
    const std::byte* rows = args.weights + static_cast<size_t>(r) * args.weight_row_stride;
    const int num_rows = rows_of_slice(args, r);
    for (int b = 0; b < num_blocks; b += kStep) {
      const int count = num_blocks - b < kStep ? num_blocks - b : kStep;
      const std::byte* part_rows = rows + static_cast<size_t>(b) * block_bytes;
      if constexpr (requires { Format::kPrefetchesRows; }) {
        const bool has_next = args.num_weight_rows - r >= 2 * kSliceRows;
        const std::byte* next = has_next ? rows + kSliceRows * args.weight_row_stride : nullptr;
        pack_prefetching<V>(args, layout, part_rows, num_rows, count,
                            static_cast<size_t>(b) * block_bytes * kSliceRows, next);
      } else {
        pack_slice_with<V>(layout, part_rows, args.weight_row_stride, num_rows, count,
                           args.scratch);
      }
      const SlicePart part = {scratch, count, b, num_rows};
      multiply_all_x<V, Format>(args, part, prefetch, args.dst + r);
    }
  }
}

}  // namespace
}  // namespace ruvllm::kernels
