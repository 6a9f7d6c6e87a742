#include "kernels/cpu/neon/dot_i8mm.h"
#include "kernels/cpu/neon/matmul.h"
#include "kernels/cpu/neon/matmul_entries-inl.h"

namespace ruvllm::kernels {

void overlay_neon_i8mm_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  using V = NeonI8mm;
  overlay_entry<V, PackedNeonQ8_0<V>, kQ8_0>(matmul, "neon_i8mm q8_0", four_rows<FourRowsQ8_0<V>>);
}

}  // namespace ruvllm::kernels
