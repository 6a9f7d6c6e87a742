// The table entries of one way to add products of bytes (dot_*.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/neon/matmul_rows-inl.h"
#include "kernels/cpu/neon/packed_neon.h"
#include "kernels/cpu/packed/packed_formats-inl.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/packed/packed_matmul-inl.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {
namespace {

// q8_0 with 16-bit activations, words in the file's order of bytes.
template <class V>
struct PackedNeonQ8_0 : PackedFormat<V> {
  using Base = PackedFormat<V>;
  using typename Base::Float;
  using typename Base::Int;
  static constexpr int kBlockElements = kBlock32;
  static constexpr int kGroupElements = kBlock32;
  static constexpr int kWords = 8;
  static constexpr bool kHasHalf = true;

  template <size_t kNumX>
  static RUVLLM_ALWAYS_INLINE void add_block(const uint8_t* words, const uint8_t* halves,
                                             const XRow* x, int block_idx, Float* acc) {
    const ptrdiff_t k = static_cast<ptrdiff_t>(block_idx) * kBlock32;
    Int bytes[kWords];
    for (int j = 0; j < kWords; ++j) bytes[j] = Base::word(words, j);
    const auto sums = V::word_sums(bytes);
    const Float d = V::load_halves(halves);
    for (size_t i = 0; i < kNumX; ++i) {
      const Int isum = V::products_q16(bytes, sums, x[i].q16 + k);
      acc[i] = Base::add_term(d, x[i].scales[block_idx], isum, acc[i]);
    }
  }
};

template <DType kType>
RUVLLM_ALWAYS_INLINE PackedLayout neon_layout() {
  PackedLayout layout = packed_layout(kType);
  layout.swap_middle_bytes = false;
  return layout;
}

template <class V, class Format>
void packed(const MatmulArgs& args) noexcept {
  matmul_packed<V, Format>(args);
}
template <class V, class Format, DType kType>
void packing(const MatmulArgs& args) noexcept {
  matmul_packing<V, Format>(args, neon_layout<kType>());
}
template <class Row>
void rows(const MatmulArgs& args) noexcept {
  matmul_rows<Row>(args);
}
template <class Format>
void four_rows(const MatmulArgs& args) noexcept {
  matmul_four_rows<Format>(args);
}

void pack_slice_neon(const PackedLayout& layout, const std::byte* src, size_t row_stride,
                     int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept {
  pack_slice_by_words(layout, src, row_stride, num_rows, num_blocks, slice);
}

template <DType kType>
size_t slice_scratch_bytes(int32_t num_cols) {
  const PackedLayout layout = packed_layout(kType);
  const int32_t cols = num_cols < kSliceChunkElements ? num_cols : kSliceChunkElements;
  return static_cast<size_t>(cols / layout.block_elements * layout.block_bytes) * kSliceRows;
}

// What an entry multiplies by stays that of the portable kernel.
template <class V, class Format, DType kType>
void overlay_entry(MatmulKernel (&matmul)[kNumDTypes], const char* name, MatmulFn gemv) {
  MatmulKernel& kernel = matmul[static_cast<size_t>(kType)];
  kernel.name = name;
  kernel.gemv = gemv;
  kernel.gemm = packing<V, Format, kType>;
  kernel.gemm_min_x_rows = static_cast<int32_t>(kMaxRowsX) + 1;
  kernel.scratch_bytes = slice_scratch_bytes<kType>;
  kernel.packed = packed<V, Format>;
  kernel.layout = neon_layout<kType>();
  kernel.pack_slice = pack_slice_neon;
}

}  // namespace
}  // namespace ruvllm::kernels
