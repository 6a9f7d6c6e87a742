// Weights interleaved over 16 rows, the form in which register tiles read them.
//
// A packed matrix is a sequence of slices of 16 weight rows; the last one is filled up with copies
// of its last row. A slice holds the blocks of its rows in the order of k. Of a block there are
//   words  [word][16 rows][4 bytes]   those that hold integers
//   halves [16 rows][2 bytes]         its binary16 scale, for types that keep it apart (mxfp4: one
//                                     byte, its exponent)
// and the halves of a group of blocks, as many as fill a cache line, stand before their words:
//   [group][block of the group] halves, then [block of the group] words
// A vector of 32-bit lanes, lane r belonging to row r, thus holds four consecutive bytes of each
// row, and a slice is one linear stream: halves in a place of their own would be a second one,
// which keeps the hardware prefetcher from following either (Zen 4: 9 to 15 instead of 30 GB/s a
// core). A slice has exactly the bytes of its 16 rows in the file. Only f16 and bf16 differ: for
// grouped products (matmul.h) their words hold pairs of rounded weights, int16, and their halves
// one byte for each row, the exponent of the step: d_w = 2^(byte - 128), or NaN if it is 0.
//
// A matrix in this form is distinct from one in the file's: only MatmulKernel::packed reads it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace ruvllm::kernels {

inline constexpr int kSliceRows = 16;
// Columns of a slice that products with many rows of x pack and multiply at a time; whole blocks.
inline constexpr int kSliceChunkElements = 1024;

enum class FloatRounding : uint8_t { kNone, kF16, kBF16 };

struct PackedLayout {
  int32_t block_elements = 0;
  int32_t block_bytes = 0;
  int32_t word_offset = 0;   // of the first word in a block, in bytes
  int32_t num_words = 0;     // in a block; at least 4
  int32_t half_offset = -1;  // of the binary16 scale outside of the words; < 0: there is none
  int32_t half_bytes = 2;    // 1: the scale is an exponent of one byte
  // Bytes 0 1 2 3 of each word are kept as 0 2 1 3: even and odd bytes are then pairs of
  // neighbours.
  bool swap_middle_bytes = false;
  // Words in the order in which they are read, as the prefetcher wants it: the words of the file's
  // block from which units of four begin. Null: the file's order. The last unit overlaps the one
  // before it if num_words is no multiple of four.
  const uint8_t* unit_order = nullptr;
  FloatRounding rounding = FloatRounding::kNone;

  bool is_rounded() const { return rounding != FloatRounding::kNone; }
  bool has_half() const { return half_offset >= 0 || is_rounded(); }
  size_t words_bytes() const { return static_cast<size_t>(num_words) * 4 * kSliceRows; }
  size_t halves_bytes() const {
    return has_half() ? static_cast<size_t>(half_bytes) * kSliceRows : 0;
  }
  // What a row of num_cols weights takes in a slice.
  size_t row_bytes(int32_t num_cols) const {
    return static_cast<size_t>(num_cols / block_elements) * (words_bytes() + halves_bytes()) /
           kSliceRows;
  }
  // The first word of a unit, and which word of the file's block that is.
  size_t unit_word(size_t unit) const {
    const auto last = static_cast<size_t>(num_words) - 4;
    return 4 * unit < last ? 4 * unit : last;
  }
  size_t source_word(size_t unit) const {
    return unit_order == nullptr ? unit_word(unit) : unit_order[unit];
  }
  int32_t group_blocks() const { return has_half() ? 4 / half_bytes : 1; }
};

// The layout of a type, or none: num_words is 0.
PackedLayout packed_layout(DType dtype);

// Where a block of a slice lies, in bytes.
struct BlockPlace {
  size_t words;
  size_t halves;
};
inline BlockPlace place_of_block(const PackedLayout& layout, int32_t num_blocks, int32_t block) {
  const int32_t group = layout.group_blocks(), in_group = block % group, first = block - in_group;
  const int32_t count = num_blocks - first < group ? num_blocks - first : group;
  const size_t words = layout.words_bytes(), halves = layout.halves_bytes();
  const size_t at = static_cast<size_t>(first) * (words + halves);
  return {.words = at + static_cast<size_t>(count) * halves + static_cast<size_t>(in_group) * words,
          .halves = at + static_cast<size_t>(in_group) * halves};
}

// Copies `num_blocks` blocks of up to 16 rows into `slice`. `rows` is the first block of the first
// row, `row_stride` in bytes. Rows from num_rows (>= 1) on repeat the last. `slice` gets
// 16 * layout.row_bytes(their columns) bytes; vectors are aligned best if it is to 64. Thread-safe.
using PackSliceFn = void (*)(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                             int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept;
void pack_slice_generic(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                        int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept;

// The way back for one row: `row` gets the num_blocks * block_bytes bytes of row `row_in_slice`.
// Not for rounded weights.
void unpack_row(const PackedLayout& layout, const std::byte* slice, int32_t row_in_slice,
                int32_t num_blocks, std::byte* row) noexcept;

}  // namespace ruvllm::kernels
