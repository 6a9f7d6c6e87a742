// Packing of slices, written once for all vector types.
//
// A Packer transposes words: pack_words4(rows, offset, swap, dst) copies four words of each of 16
// rows, rows[r] + offset on, to dst [4 words][16 rows], with the middle bytes of each swapped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

// The scales of one block, each of kBytes.
template <size_t kBytes>
RUVLLM_ALWAYS_INLINE void pack_halves(const std::byte* const* rows, size_t offset,
                                      std::byte* halves) {
  for (size_t r = 0; r < kSliceRows; ++r) {
    __builtin_memcpy(halves + r * kBytes, rows[r] + offset, kBytes);
  }
}

// PackSliceFn
template <class Packer>
RUVLLM_ALWAYS_INLINE void pack_slice_by_words(const PackedLayout& layout, const std::byte* rows,
                                              size_t row_stride, int32_t num_rows,
                                              int32_t num_blocks, std::byte* slice) {
  const std::byte* at[kSliceRows];
  for (int32_t r = 0; r < kSliceRows; ++r) {
    at[r] = rows + static_cast<size_t>(r < num_rows ? r : num_rows - 1) * row_stride;
  }
  const auto num_words = static_cast<size_t>(layout.num_words);
  const auto word_offset = static_cast<size_t>(layout.word_offset);
  const auto half_offset = static_cast<size_t>(layout.half_offset);
  for (int32_t b = 0; b < num_blocks; ++b) {
    const BlockPlace place = place_of_block(layout, num_blocks, b);
    for (size_t unit = 0; 4 * unit < num_words; ++unit) {
      Packer::pack_words4(at, word_offset + 4 * layout.source_word(unit), layout.swap_middle_bytes,
                          slice + place.words + 64 * layout.unit_word(unit));
    }
    if (layout.is_rounded()) {
      // by round_slice
    } else if (layout.has_half() && layout.half_bytes == 1) {
      pack_halves<1>(at, half_offset, slice + place.halves);
    } else if (layout.has_half()) {
      pack_halves<2>(at, half_offset, slice + place.halves);
    }
    for (auto& row : at) row += layout.block_bytes;
  }
}

}  // namespace
}  // namespace ruvllm::kernels
