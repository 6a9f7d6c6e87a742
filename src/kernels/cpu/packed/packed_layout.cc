#include "kernels/cpu/packed/packed_layout.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/numeric/half.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

constexpr PackedLayout words_only(int32_t elements, size_t bytes) {
  return {.block_elements = elements,
          .block_bytes = static_cast<int32_t>(bytes),
          .num_words = static_cast<int32_t>(bytes / 4)};
}

// A block of 32 that begins with a scale of `half_bytes`.
constexpr PackedLayout half_first(size_t bytes, int32_t half_bytes = 2) {
  return {.block_elements = kBlock32,
          .block_bytes = static_cast<int32_t>(bytes),
          .word_offset = half_bytes,
          .num_words = static_cast<int32_t>(bytes / 4),
          .half_offset = 0,
          .half_bytes = half_bytes};
}

constexpr PackedLayout rounded(FloatRounding rounding) {
  PackedLayout layout = words_only(kBlock32, kBlock32 * sizeof(uint16_t));
  layout.half_bytes = 1;
  layout.rounding = rounding;
  return layout;
}

constexpr PackedLayout swapped(PackedLayout layout) {
  layout.swap_middle_bytes = true;
  return layout;
}

// A superblock with its scale at `half_offset`, after the words.
constexpr PackedLayout half_last(size_t bytes, size_t half_offset, const uint8_t* unit_order) {
  PackedLayout layout = words_only(kSuperblock, bytes);
  layout.unit_order = unit_order;
  layout.half_offset = static_cast<int32_t>(half_offset);
  return layout;
}

// The scales, then for 16 elements of each quarter of a half the low nibbles of quarters 0 and 2,
// those of 1 and 3, and the upper bits.
constexpr uint8_t kOrderQ6K[] = {48, 0, 8, 32, 4, 12, 36, 16, 24, 40, 20, 28, 44};
// The scales (and word 23), then third bits and lower bits by turns.
constexpr uint8_t kOrderQ3K[] = {23, 0, 8, 4, 12, 16, 19};

// Where a row's part of a block lies in the slice, and its words in the file's block. In bytes.
class PackedBlock {
 public:
  PackedBlock(const PackedLayout& layout, int32_t num_blocks, int32_t block, size_t row)
      : layout_(layout), place_(place_of_block(layout, num_blocks, block)), row_(row) {}

  size_t word(size_t w) const { return place_.words + 4 * (w * kSliceRows + row_); }
  size_t source_word(size_t w) const {
    const size_t unit = w / 4;
    const size_t source = layout_.source_word(unit) + w - layout_.unit_word(unit);
    return static_cast<size_t>(layout_.word_offset) + 4 * source;
  }
  size_t half() const { return place_.halves + static_cast<size_t>(layout_.half_bytes) * row_; }

 private:
  const PackedLayout& layout_;
  BlockPlace place_;
  size_t row_;
};

// A group of weights whose words lie at word(w), in place. Returns the byte of its step.
uint8_t round_group(FloatRounding rounding, const PackedBlock& places, std::byte* slice) {
  const bool is_f16 = rounding == FloatRounding::kF16;
  float weights[kBlock32], max = 0.0f;
  bool is_finite = true;
  for (size_t i = 0; i < kBlock32; ++i) {
    uint16_t bits;
    std::memcpy(&bits, slice + places.word(i / 2) + 2 * (i % 2), sizeof(bits));
    weights[i] = is_f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    is_finite = is_finite && std::isfinite(weights[i]);
    max = std::max(max, std::abs(weights[i]));
  }
  const int least = is_f16 ? -14 : -114;
  const int exponent = max > 0.0f && is_finite ? std::max(std::ilogb(max), least) : least;
  for (size_t i = 0; i < kBlock32; ++i) {
    const bool is_bad = !is_finite || exponent > 116;
    const auto q = static_cast<int16_t>(
        is_bad ? 0.0 : std::nearbyint(std::ldexp(static_cast<double>(weights[i]), 12 - exponent)));
    std::memcpy(slice + places.word(i / 2) + 2 * (i % 2), &q, sizeof(q));
  }
  return is_finite && exponent <= 116 ? static_cast<uint8_t>(exponent - 12 + 128) : uint8_t{0};
}

}  // namespace

PackedLayout packed_layout(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return rounded(FloatRounding::kF16);
    case DType::kBF16:
      return rounded(FloatRounding::kBF16);
    case DType::kQ4_0:
      return half_first(sizeof(BlockQ4_0));
    case DType::kQ4_1:
      return words_only(kBlock32, sizeof(BlockQ4_1));
    case DType::kQ5_0:
      return half_first(sizeof(BlockQ5_0));
    case DType::kQ5_1:
      return words_only(kBlock32, sizeof(BlockQ5_1));
    case DType::kQ8_0:
      return swapped(half_first(sizeof(BlockQ8_0)));
    case DType::kMXFP4:
      return half_first(sizeof(BlockMXFP4), 1);
    case DType::kIQ4_NL:
      return swapped(half_first(sizeof(BlockIQ4_NL)));
    case DType::kIQ4_XS:
      return words_only(kSuperblock, sizeof(BlockIQ4_XS));
    case DType::kQ2_K:
      return words_only(kSuperblock, sizeof(BlockQ2_K));
    case DType::kQ3_K:
      return half_last(sizeof(BlockQ3_K), offsetof(BlockQ3_K, d), kOrderQ3K);
    case DType::kQ4_K:
      return words_only(kSuperblock, sizeof(BlockQ4_K));
    case DType::kQ5_K:
      return words_only(kSuperblock, sizeof(BlockQ5_K));
    case DType::kQ6_K:
      return half_last(sizeof(BlockQ6_K), offsetof(BlockQ6_K, d), kOrderQ6K);
    default:
      return {};
  }
}

void pack_slice_generic(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                        int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept {
  for (int32_t b = 0; b < num_blocks; ++b) {
    for (size_t r = 0; r < kSliceRows; ++r) {
      const size_t row = std::min(r, static_cast<size_t>(num_rows) - 1);
      const std::byte* block = rows + row * row_stride +
                               static_cast<size_t>(b) * static_cast<size_t>(layout.block_bytes);
      const PackedBlock places(layout, num_blocks, b, r);
      for (size_t w = 0; w < static_cast<size_t>(layout.num_words); ++w) {
        std::byte* word = slice + places.word(w);
        std::memcpy(word, block + places.source_word(w), 4);
        if (layout.swap_middle_bytes) std::swap(word[1], word[2]);
      }
      if (layout.is_rounded()) {
        slice[places.half()] = std::byte{round_group(layout.rounding, places, slice)};
      } else if (layout.has_half()) {
        std::memcpy(slice + places.half(), block + layout.half_offset,
                    static_cast<size_t>(layout.half_bytes));
      }
    }
  }
}

void unpack_row(const PackedLayout& layout, const std::byte* slice, int32_t row_in_slice,
                int32_t num_blocks, std::byte* row) noexcept {
  for (int32_t b = 0; b < num_blocks; ++b) {
    std::byte* block = row + static_cast<size_t>(b) * static_cast<size_t>(layout.block_bytes);
    const PackedBlock places(layout, num_blocks, b, static_cast<size_t>(row_in_slice));
    for (size_t w = 0; w < static_cast<size_t>(layout.num_words); ++w) {
      std::byte* word = block + places.source_word(w);
      std::memcpy(word, slice + places.word(w), 4);
      if (layout.swap_middle_bytes) std::swap(word[1], word[2]);
    }
    if (layout.has_half()) {
      std::memcpy(block + layout.half_offset, slice + places.half(),
                  static_cast<size_t>(layout.half_bytes));
    }
  }
}

}  // namespace ruvllm::kernels
