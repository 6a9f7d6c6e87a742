#include "kernels/cpu/packed/packed_layout.h"

#include <algorithm>
#include <cstring>

#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

constexpr PackedLayout words_only(int32_t elements, size_t bytes) {
  return {.block_elements = elements,
          .block_bytes = static_cast<int32_t>(bytes),
          .num_words = static_cast<int32_t>(bytes / 4)};
}

constexpr PackedLayout half_first(size_t bytes) {
  return {.block_elements = kBlock32,
          .block_bytes = static_cast<int32_t>(bytes),
          .word_offset = 2,
          .num_words = static_cast<int32_t>(bytes / 4),
          .half_offset = 0};
}

}  // namespace

PackedLayout packed_layout(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return half_first(sizeof(BlockQ4_0));
    case DType::kQ8_0: {
      PackedLayout layout = half_first(sizeof(BlockQ8_0));
      layout.swap_middle_bytes = true;
      return layout;
    }
    case DType::kQ4_K:
      return words_only(kSuperblock, sizeof(BlockQ4_K));
    case DType::kQ5_K:
      return words_only(kSuperblock, sizeof(BlockQ5_K));
    case DType::kQ6_K: {
      PackedLayout layout = words_only(kSuperblock, sizeof(BlockQ6_K));
      layout.half_offset = offsetof(BlockQ6_K, d);
      return layout;
    }
    default:
      return {};
  }
}

void pack_slice_generic(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                        int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept {
  std::byte* halves = slice + static_cast<size_t>(num_blocks) * layout.words_bytes();
  for (size_t b = 0; b < static_cast<size_t>(num_blocks); ++b) {
    for (size_t r = 0; r < kSliceRows; ++r) {
      const size_t row = std::min(r, static_cast<size_t>(num_rows) - 1);
      const std::byte* block =
          rows + row * row_stride + b * static_cast<size_t>(layout.block_bytes);
      for (size_t w = 0; w < static_cast<size_t>(layout.num_words); ++w) {
        std::byte* word = slice + b * layout.words_bytes() + 4 * (w * kSliceRows + r);
        std::memcpy(word, block + layout.word_offset + 4 * w, 4);
        if (layout.swap_middle_bytes) std::swap(word[1], word[2]);
      }
      if (layout.has_half()) {
        std::memcpy(halves + 2 * (b * kSliceRows + r), block + layout.half_offset, 2);
      }
    }
  }
}

void unpack_row(const PackedLayout& layout, const std::byte* slice, int32_t row_in_slice,
                int32_t num_blocks, std::byte* row) noexcept {
  const size_t r = static_cast<size_t>(row_in_slice);
  const std::byte* halves = slice + static_cast<size_t>(num_blocks) * layout.words_bytes();
  for (size_t b = 0; b < static_cast<size_t>(num_blocks); ++b) {
    std::byte* block = row + b * static_cast<size_t>(layout.block_bytes);
    for (size_t w = 0; w < static_cast<size_t>(layout.num_words); ++w) {
      std::byte* word = block + layout.word_offset + 4 * w;
      std::memcpy(word, slice + b * layout.words_bytes() + 4 * (w * kSliceRows + r), 4);
      if (layout.swap_middle_bytes) std::swap(word[1], word[2]);
    }
    if (layout.has_half()) {
      std::memcpy(block + layout.half_offset, halves + 2 * (b * kSliceRows + r), 2);
    }
  }
}

}  // namespace ruvllm::kernels
