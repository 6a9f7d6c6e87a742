// Packing of slices with AVX-512: transposes four words of 16 rows at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

// 16 bytes each of rows r, r + 4, r + 8, r + 12.
RUVLLM_ALWAYS_INLINE __m512i load_four_rows(const std::byte* const* rows, size_t offset) {
  const auto at = [&](size_t i) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i] + offset));
  };
  __m512i out = _mm512_castsi128_si512(at(0));
  out = _mm512_inserti32x4(out, at(4), 1);
  out = _mm512_inserti32x4(out, at(8), 2);
  return _mm512_inserti32x4(out, at(12), 3);
}

RUVLLM_ALWAYS_INLINE void pack_words4(const std::byte* const* rows, size_t offset, bool swap,
                                      std::byte* dst) {
  const __m512i r0 = load_four_rows(rows, offset), r1 = load_four_rows(rows + 1, offset);
  const __m512i r2 = load_four_rows(rows + 2, offset), r3 = load_four_rows(rows + 3, offset);
  const __m512i low01 = _mm512_unpacklo_epi32(r0, r1), high01 = _mm512_unpackhi_epi32(r0, r1);
  const __m512i low23 = _mm512_unpacklo_epi32(r2, r3), high23 = _mm512_unpackhi_epi32(r2, r3);
  __m512i words[4] = {_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
                      _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)};
  const __m512i order =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
  for (int w = 0; w < 4; ++w) {
    if (swap) words[w] = _mm512_shuffle_epi8(words[w], order);
    _mm512_storeu_si512(dst + 64 * w, words[w]);
  }
}

RUVLLM_ALWAYS_INLINE int16_t load_half(const std::byte* src) {
  int16_t value;
  __builtin_memcpy(&value, src, sizeof(value));
  return value;
}

// PackSliceFn; every layout has a multiple of four words.
RUVLLM_ALWAYS_INLINE void pack_slice_by_words(const PackedLayout& layout, const std::byte* rows,
                                              size_t row_stride, int32_t num_rows,
                                              int32_t num_blocks, std::byte* slice) {
  const std::byte* at[kSliceRows];
  for (int32_t r = 0; r < kSliceRows; ++r) {
    at[r] = rows + static_cast<size_t>(r < num_rows ? r : num_rows - 1) * row_stride;
  }
  const auto num_words = static_cast<size_t>(layout.num_words);
  const auto word_offset = static_cast<size_t>(layout.word_offset);
  std::byte* words = slice;
  std::byte* halves = slice + static_cast<size_t>(num_blocks) * layout.words_bytes();
  for (int32_t b = 0; b < num_blocks; ++b) {
    for (size_t w = 0; w < num_words; w += 4) {
      pack_words4(at, word_offset + 4 * w, layout.swap_middle_bytes, words + 64 * w);
    }
    words += layout.words_bytes();
    if (layout.has_half()) {
      const std::ptrdiff_t offset = layout.half_offset;
      alignas(32) int16_t values[kSliceRows];
      for (int r = 0; r < kSliceRows; ++r) values[r] = load_half(at[r] + offset);
      __builtin_memcpy(halves, values, sizeof(values));
      halves += sizeof(values);
    }
    for (auto& row : at) row += layout.block_bytes;
  }
}

}  // namespace
}  // namespace ruvllm::kernels
