#include "kernels/cpu/neon/matmul/dot_baseline.h"
#include "kernels/cpu/neon/matmul/entries-inl.h"
#include "kernels/cpu/neon/matmul/matmul.h"

namespace ruvllm::kernels {

void overlay_neon_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  using V = NeonBaseline;
  constexpr PackedProducts kProducts = packed_products<V>();
  overlay_neon_float_matmul(matmul);
  overlay_entry<kQ4_0>(matmul, "neon q4_0", kProducts, four_rows<FourRowsQ4_0<V>>);
  overlay_entry<kQ8_0>(matmul, "neon q8_0", kProducts, four_rows<FourRowsQ8_0<V>>);
  overlay_entry<kQ4_K>(matmul, "neon q4_K", kProducts, rows<RowQ45K<V, BlockQ4_K>>);
  overlay_entry<kQ5_K>(matmul, "neon q5_K", kProducts, rows<RowQ45K<V, BlockQ5_K>>);
  overlay_entry<kQ6_K>(matmul, "neon q6_K", kProducts, rows<RowQ6K<V>>);
  overlay_entry<kQ4_1>(matmul, "neon q4_1", kProducts);
  overlay_entry<kQ5_0>(matmul, "neon q5_0", kProducts);
  overlay_entry<kQ5_1>(matmul, "neon q5_1", kProducts);
  overlay_entry<kMXFP4>(matmul, "neon mxfp4", kProducts);
  overlay_entry<kIQ4_NL>(matmul, "neon iq4_nl", kProducts);
  overlay_entry<kIQ4_XS>(matmul, "neon iq4_xs", kProducts);
  overlay_entry<kQ2_K>(matmul, "neon q2_K", kProducts);
  overlay_entry<kQ3_K>(matmul, "neon q3_K", kProducts);
}

}  // namespace ruvllm::kernels
