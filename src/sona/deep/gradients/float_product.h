// Products of float matrices by the production kernels, within one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"

namespace ruvllm::sona {

// dst[m * dst_stride + r] = sum_k weights[r, k] x[m, k]. An element's bits depend on its two rows
// alone. Thread-safe; `scratch` is the caller's thread's.
struct FloatProduct {
  const float* weights = nullptr;  // [num_weight_rows, num_cols]
  int32_t num_weight_rows = 0;
  int32_t num_cols = 0;
  size_t weight_stride = 0;  // elements from a row to the next; 0: num_cols
  const float* x = nullptr;  // [num_x_rows, num_cols]
  int32_t num_x_rows = 0;
  float* dst = nullptr;
  size_t dst_stride = 0;  // elements
};
void run_float_product(const kernels::KernelTable& kernels, const FloatProduct& product,
                       std::byte* scratch) noexcept;

// Bytes of scratch, 64-byte aligned, for products with up to num_cols columns.
size_t float_product_scratch_bytes(const kernels::KernelTable& kernels, int32_t num_cols);

}  // namespace ruvllm::sona
