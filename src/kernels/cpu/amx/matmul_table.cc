// Compiled for the baseline: only the entries themselves need AMX.
#include <cstddef>

#include "kernels/cpu/amx/entries.h"
#include "kernels/cpu/amx/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

// Products with one row of x, and the layout, stay those of AVX-512.
void overlay_amx_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  for (const amx::Entry& entry : amx::kEntries) {
    MatmulKernel& kernel = matmul[static_cast<size_t>(entry.dtype)];
    kernel.name = entry.name;
    kernel.gemm = entry.gemm;
    kernel.packed = entry.packed;
    kernel.scratch_bytes = entry.scratch_bytes;
  }
}

}  // namespace ruvllm::kernels
