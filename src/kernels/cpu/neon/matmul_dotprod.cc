#include "kernels/cpu/neon/dot_dotprod.h"
#include "kernels/cpu/neon/matmul.h"
#include "kernels/cpu/neon/matmul_entries-inl.h"

namespace ruvllm::kernels {

void overlay_neon_dotprod_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  using V = NeonDotprod;
  overlay_entry<V, PackedQ4_0<V>, kQ4_0>(matmul, "neon_dotprod q4_0", four_rows<FourRowsQ4_0<V>>);
  overlay_entry<V, PackedNeonQ8_0<V>, kQ8_0>(matmul, "neon_dotprod q8_0",
                                             four_rows<FourRowsQ8_0<V>>);
  overlay_entry<V, PackedQ45K<V, false>, kQ4_K>(matmul, "neon_dotprod q4_K",
                                                rows<RowQ45K<V, BlockQ4_K>>);
  overlay_entry<V, PackedQ45K<V, true>, kQ5_K>(matmul, "neon_dotprod q5_K",
                                               rows<RowQ45K<V, BlockQ5_K>>);
  overlay_entry<V, PackedQ6K<V>, kQ6_K>(matmul, "neon_dotprod q6_K", rows<RowQ6K<V>>);
}

}  // namespace ruvllm::kernels
