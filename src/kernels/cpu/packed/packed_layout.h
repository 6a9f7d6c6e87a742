// Weights interleaved over 16 rows, the form in which register tiles read them.
//
// A packed matrix is a sequence of slices of 16 weight rows; the last one is filled up with copies
// of its last row. A slice holds the blocks of its rows in the order of k:
//   words  [block][word][16 rows][4 bytes]   the words of a block that hold integers
//   halves [block][16 rows][2 bytes]         its binary16 scale, for types that keep it apart
//                                            (mxfp4: 1 byte, its exponent)
// so that a vector of 32-bit lanes, lane r belonging to row r, holds four consecutive bytes of each
// row and a slice is one linear stream. A slice has exactly the bytes of its 16 rows in the file.
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

  bool has_half() const { return half_offset >= 0; }
  size_t words_bytes() const { return static_cast<size_t>(num_words) * 4 * kSliceRows; }
};

// The layout of a type, or none: num_words is 0.
PackedLayout packed_layout(DType dtype);

// Copies `num_blocks` blocks of up to 16 rows into `slice`. `rows` is the first block of the first
// row, `row_stride` in bytes. Rows from num_rows (>= 1) on repeat the last. `slice` gets
// num_blocks * 16 * block_bytes bytes; vectors are aligned best if it is to 64. Thread-safe.
using PackSliceFn = void (*)(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                             int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept;
void pack_slice_generic(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                        int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept;

}  // namespace ruvllm::kernels
