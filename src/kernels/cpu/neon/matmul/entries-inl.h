// The products of one way to add products of bytes (dot_*.h), for the table.
#pragma once

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/neon/matmul/rows-inl.h"
#include "kernels/cpu/packed/packed_products-inl.h"
#include "tensor/blocks.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {
namespace {

template <class Row>
void rows(const MatmulArgs& args) noexcept {
  matmul_rows<Row>(args);
}
template <class Format>
void four_rows(const MatmulArgs& args) noexcept {
  matmul_four_rows<Format>(args);
}

// The entry's products of packed slices, and for few rows of x `gemv` if there is one. Which kind
// of x it takes stays that of the portable kernel.
template <DType kType>
void overlay_entry(MatmulKernel (&matmul)[kNumDTypes], const char* name,
                   const PackedProducts& products, MatmulFn gemv = nullptr) {
  overlay_packed<kType>(matmul, name, products);
  MatmulKernel& kernel = matmul[static_cast<size_t>(kType)];
  kernel.gemv = gemv != nullptr ? gemv : kernel.gemm;
  kernel.gemm_min_x_rows = static_cast<int32_t>(kMaxRowsX) + 1;
  if (gemv == nullptr) {
    kernel.gemm_min_x_rows = 1;
    kernel.gemv_chunk_rows = kSliceRows;
  }
}

}  // namespace
}  // namespace ruvllm::kernels
