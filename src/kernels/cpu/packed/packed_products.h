// The products of packed slices that an instruction set has, by type, and how its table takes them
// over. Functions have internal linkage, as in vec.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

struct PackedProduct {
  MatmulFn packed = nullptr;   // MatmulKernel::packed
  MatmulFn packing = nullptr;  // MatmulKernel::gemm, which packs slices on the way
};

struct PackedProducts {
  PackedProduct by_type[kNumDTypes];
  PackSliceFn pack_slice = nullptr;
  bool swaps_middle_bytes = true;  // where packed_layout says so
};

// Blocks of a chunk of a slice.
template <DType kType>
static size_t packing_scratch_bytes(int32_t num_cols) {
  const PackedLayout layout = packed_layout(kType);
  const int32_t cols = num_cols < kSliceChunkElements ? num_cols : kSliceChunkElements;
  return layout.row_bytes(cols) * kSliceRows;
}

// The entry keeps its product for few rows of x.
template <DType kType>
static void overlay_packed(MatmulKernel (&matmul)[kNumDTypes], const char* name,
                           const PackedProducts& products) {
  MatmulKernel& kernel = matmul[static_cast<size_t>(kType)];
  const PackedProduct& product = products.by_type[static_cast<size_t>(kType)];
  kernel.name = name;
  kernel.gemm = product.packing;
  kernel.gemm_min_x_rows = 4;
  kernel.scratch_bytes = packing_scratch_bytes<kType>;
  kernel.packed = product.packed;
  kernel.layout = packed_layout(kType);
  kernel.layout.swap_middle_bytes &= products.swaps_middle_bytes;
  kernel.pack_slice = products.pack_slice;
}

// KernelTable::grouped_matmul of f16 and bf16.
template <DType kType>
static void overlay_grouped(MatmulKernel (&grouped)[kNumDTypes], const char* name,
                            const PackedProducts& products) {
  MatmulKernel& kernel = grouped[static_cast<size_t>(kType)];
  kernel.activation = ActivationKind::kQ14Group32;
  overlay_packed<kType>(grouped, name, products);
  kernel.gemv = kernel.gemm;
  kernel.gemv_chunk_rows = kSliceRows;
}

}  // namespace ruvllm::kernels
