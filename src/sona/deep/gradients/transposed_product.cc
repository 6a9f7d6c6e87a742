#include "sona/deep/gradients/transposed_product.h"

#include <algorithm>

#include "sona/deep/gradients/float_product.h"
#include "sona/deep/gradients/parallel.h"
#include "tensor/codec.h"

namespace ruvllm::sona {
namespace {

// Rows decoded before they are transposed together: a cache line of the panel.
constexpr int32_t kDecodedRows = 16;

int32_t strip_cols(DType dtype) {
  const auto block = static_cast<int32_t>(dtype_info(dtype).block_elements);
  constexpr int32_t kWide = 64;
  return std::max(block, kWide);
}

}  // namespace

void TransposedProduct::plan(Arena& arena, const kernels::KernelTable& kernels, int32_t max_rows,
                             uint32_t num_threads) {
  kernels_ = &kernels;
  max_rows_ = max_rows;
  kernel_bytes_ = float_product_scratch_bytes(kernels, kChunkRows);
  const auto rows = static_cast<size_t>(max_rows);
  packed_slot_ = arena.add<float>(rows * kChunkRows);
  decoded_slot_ = arena.add<float>(num_threads * size_t{kDecodedRows} * kMaxStripCols);
  panel_slot_ = arena.add<float>(num_threads * size_t{kMaxStripCols} * kChunkRows);
  result_slot_ = arena.add<float>(num_threads * rows * kMaxStripCols);
  kernel_slot_ = arena.add<std::byte>(num_threads * kernel_bytes_);
}

void TransposedProduct::bind(const Arena& arena) {
  packed_ = arena.at(packed_slot_);
  decoded_ = arena.at(decoded_slot_);
  panel_ = arena.at(panel_slot_);
  result_ = arena.at(result_slot_);
  kernel_scratch_ = arena.at(kernel_slot_);
}

// panel[c, r] = W[first_row + r, first_col + c].
void TransposedProduct::decode_transposed(const Tile& tile, float* decoded,
                                          float* panel) const noexcept {
  const DType dtype = tile.weight.dtype;
  const size_t offset = *row_bytes(dtype, static_cast<uint64_t>(tile.first_col));
  for (int32_t first = 0; first < tile.num_weight_rows; first += kDecodedRows) {
    const int32_t count = std::min(kDecodedRows, tile.num_weight_rows - first);
    for (int32_t r = 0; r < count; ++r) {
      decode_row(dtype, tile.weight.row(static_cast<size_t>(tile.first_row + first + r)) + offset,
                 static_cast<size_t>(tile.num_cols), decoded + r * kMaxStripCols);
    }
    for (int32_t c = 0; c < tile.num_cols; ++c) {
      float* out = panel + static_cast<int64_t>(c) * tile.num_weight_rows + first;
      for (int32_t r = 0; r < count; ++r) out[r] = decoded[r * kMaxStripCols + c];
    }
  }
}

void TransposedProduct::add_tile(const Tile& tile, const float* dy, int32_t num_rows, float* dx,
                                 uint32_t thread_idx) const noexcept {
  const size_t thread = thread_idx;
  float* panel = panel_ + thread * kMaxStripCols * kChunkRows;
  float* result = result_ + thread * static_cast<size_t>(max_rows_) * kMaxStripCols;
  decode_transposed(tile, decoded_ + thread * kDecodedRows * kMaxStripCols, panel);
  run_float_product(*kernels_,
                    {.weights = panel,
                     .num_weight_rows = tile.num_cols,
                     .num_cols = tile.num_weight_rows,
                     .x = dy,
                     .num_x_rows = num_rows,
                     .dst = result,
                     .dst_stride = static_cast<size_t>(tile.num_cols)},
                    kernel_scratch_ + thread * kernel_bytes_);
  for (int32_t m = 0; m < num_rows; ++m) {
    float* out = dx + static_cast<size_t>(m) * tile.weight.num_cols + tile.first_col;
    const float* from = result + static_cast<int64_t>(m) * tile.num_cols;
    for (int32_t c = 0; c < tile.num_cols; ++c) out[c] += from[c];
  }
}

void TransposedProduct::add(ThreadTeam& team, const MatrixView& weight, const float* dy,
                            int32_t num_rows, float* dx) noexcept {
  const auto out_dim = static_cast<int32_t>(weight.num_rows);
  const auto in_dim = static_cast<int32_t>(weight.num_cols);
  const int32_t strip = strip_cols(weight.dtype);
  for (int32_t first = 0; first < out_dim; first += kChunkRows) {
    const int32_t count = std::min(kChunkRows, out_dim - first);
    const float* chunk = dy;
    if (out_dim > kChunkRows) {  // the kernel wants whole rows
      for_pieces(team, num_rows, 16, [&](int64_t begin, int64_t end, uint32_t) {
        for (int64_t m = begin; m < end; ++m) {
          std::copy_n(dy + m * out_dim + first, count, packed_ + m * count);
        }
      });
      chunk = packed_;
    }
    for_pieces(team, in_dim, strip, [&](int64_t begin, int64_t end, uint32_t thread_idx) {
      const Tile tile = {weight, first, count, static_cast<int32_t>(begin),
                         static_cast<int32_t>(end - begin)};
      add_tile(tile, chunk, num_rows, dx, thread_idx);
    });
  }
}

}  // namespace ruvllm::sona
