// Compiled for the baseline: only the entries themselves need AVX-512.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/avx512/matmul.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {
namespace {

// Blocks of a chunk of a slice.
template <DType kType>
size_t scratch_bytes(int32_t num_cols) {
  const PackedLayout layout = packed_layout(kType);
  const int32_t cols = std::min(num_cols, kSliceChunkElements);
  return static_cast<size_t>(cols / layout.block_elements * layout.block_bytes) * kSliceRows;
}

// Keeps the entry's product for a single row of x.
template <DType kType>
void overlay(MatmulKernel (&matmul)[kNumDTypes], const char* name, MatmulFn gemm, MatmulFn packed) {
  MatmulKernel& kernel = matmul[static_cast<size_t>(kType)];
  kernel.name = name;
  kernel.gemm = gemm;
  kernel.gemm_min_x_rows = 4;
  kernel.scratch_bytes = scratch_bytes<kType>;
  kernel.packed = packed;
  kernel.layout = packed_layout(kType);
  kernel.pack_slice = avx512::pack_slice_avx512;
}

}  // namespace

void overlay_avx512_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  overlay<kQ4_0>(matmul, "avx512 q4_0", avx512::gemm_q4_0, avx512::packed_q4_0);
  overlay<kQ8_0>(matmul, "avx512 q8_0", avx512::gemm_q8_0, avx512::packed_q8_0);
  overlay<kQ4_K>(matmul, "avx512 q4_K", avx512::gemm_q4_k, avx512::packed_q4_k);
  overlay<kQ5_K>(matmul, "avx512 q5_K", avx512::gemm_q5_k, avx512::packed_q5_k);
  overlay<kQ6_K>(matmul, "avx512 q6_K", avx512::gemm_q6_k, avx512::packed_q6_k);
}

}  // namespace ruvllm::kernels
