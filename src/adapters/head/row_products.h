// Products of rows stored as Q8_0 with a few rows of features, by the production kernels: the same
// bits for one row and for many, on every instruction set.
//
// A workspace: one a thread, not thread-safe; keeps a reference to the kernel table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/kernel_table.h"
#include "tensor/blocks.h"

namespace ruvllm::adapters {

class RowProducts {
 public:
  // num_cols: whole blocks of Q8_0.
  RowProducts(const kernels::KernelTable& kernels, int32_t num_cols, int32_t max_inputs);

  int32_t num_cols() const { return num_cols_; }
  int32_t blocks_per_row() const { return num_cols_ / kBlock32; }

  // Input `index` of the next multiply(); x [num_cols].
  void set_input(int32_t index, std::span<const float> x);
  // dst[m * dst_stride + r] = rows[r] . input m, for the first num_inputs inputs.
  void multiply(const BlockQ8_0* rows, int32_t num_rows, int32_t num_inputs, float* dst,
                size_t dst_stride);
  // For the first input alone.
  void multiply(const BlockQ8_0* rows, int32_t num_rows, float* dst) {
    multiply(rows, num_rows, 1, dst, static_cast<size_t>(num_rows));
  }

 private:
  std::byte* aligned_scratch();

  const kernels::KernelTable& kernels_;
  const kernels::MatmulKernel& kernel_;
  int32_t num_cols_;
  std::vector<int16_t> inputs_;  // [max_inputs, num_cols]
  std::vector<float> scales_;    // [max_inputs, num_cols / 32]
  std::vector<std::byte> scratch_;
};

// x [a whole number of blocks] as Q8_0.
void encode_row_q8(std::span<const float> x, BlockQ8_0* row);

}  // namespace ruvllm::adapters
