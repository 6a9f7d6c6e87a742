#include "kernels/cpu/neon/dot_baseline.h"
#include "kernels/cpu/neon/matmul.h"
#include "kernels/cpu/neon/matmul_entries-inl.h"

namespace ruvllm::kernels {

void overlay_neon_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  using V = NeonBaseline;
  overlay_neon_float_matmul(matmul);
  overlay_entry<V, PackedQ4_0<V>, kQ4_0>(matmul, "neon q4_0", four_rows<FourRowsQ4_0<V>>);
  overlay_entry<V, PackedNeonQ8_0<V>, kQ8_0>(matmul, "neon q8_0", four_rows<FourRowsQ8_0<V>>);
  overlay_entry<V, PackedQ45K<V, false>, kQ4_K>(matmul, "neon q4_K", rows<RowQ45K<V, BlockQ4_K>>);
  overlay_entry<V, PackedQ45K<V, true>, kQ5_K>(matmul, "neon q5_K", rows<RowQ45K<V, BlockQ5_K>>);
  overlay_entry<V, PackedQ6K<V>, kQ6_K>(matmul, "neon q6_K", rows<RowQ6K<V>>);
}

}  // namespace ruvllm::kernels
