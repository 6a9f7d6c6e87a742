// dX += dY W for a frozen matrix of any type: the gradient of y = W x with respect to x.
//
// W is decoded in tiles of kChunkRows rows by a strip of columns, transposed, and multiplied by the
// production float kernel; no float copy of it is ever whole. A quantized product's rounding of its
// activations counts as the identity (the straight-through estimator, arXiv:1308.3432).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/core/error.h"
#include "base/memory/arena.h"
#include "base/threads/thread_team.h"
#include "kernels/cpu/kernel_table.h"
#include "tensor/view.h"

namespace ruvllm::sona {

class TransposedProduct {
 public:
  static constexpr int32_t kChunkRows = 1024;    // of W that are decoded at a time
  static constexpr int32_t kMaxStripCols = 256;  // a superblock

  // Plans the scratch for up to max_rows rows of dY in `arena`; bind() after its commit().
  // Takes about num_threads * (max_rows + kChunkRows) KiB plus 4 * max_rows KiB.
  void plan(Arena& arena, const kernels::KernelTable& kernels, int32_t max_rows,
            uint32_t num_threads);
  void bind(const Arena& arena);

  // dy: [num_rows, weight.num_rows], dx: [num_rows, weight.num_cols]. Each element of dx is added
  // up in the order of W's rows: its bits do not depend on the number of threads. Not reentrant.
  void add(ThreadTeam& team, const MatrixView& weight, const float* dy, int32_t num_rows,
           float* dx) noexcept;

 private:
  struct Tile {
    const MatrixView& weight;
    int32_t first_row, num_weight_rows;
    int32_t first_col, num_cols;
  };
  void decode_transposed(const Tile& tile, float* decoded, float* panel) const noexcept;
  void add_tile(const Tile& tile, const float* dy, int32_t num_rows, float* dx,
                uint32_t thread_idx) const noexcept;

  const kernels::KernelTable* kernels_ = nullptr;
  int32_t max_rows_ = 0;
  size_t kernel_bytes_ = 0;
  Arena::Slot<float> packed_slot_, decoded_slot_, panel_slot_, result_slot_;
  Arena::Slot<std::byte> kernel_slot_;
  float* packed_ = nullptr;   // [max_rows, kChunkRows]: a chunk's columns of dY
  float* decoded_ = nullptr;  // [threads, kDecodedRows, kMaxStripCols]
  float* panel_ = nullptr;    // [threads, kMaxStripCols, kChunkRows]
  float* result_ = nullptr;   // [threads, max_rows, kMaxStripCols]
  std::byte* kernel_scratch_ = nullptr;
};

}  // namespace ruvllm::sona
