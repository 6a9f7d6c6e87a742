#include "kernels/cpu/neon/matmul/dot_i8mm.h"
#include "kernels/cpu/neon/matmul/entries-inl.h"
#include "kernels/cpu/neon/matmul/matmul.h"

namespace ruvllm::kernels {

// Only products of 16-bit x differ from those of neon_dotprod.
void overlay_neon_i8mm_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  using V = NeonI8mm;
  constexpr PackedProducts kProducts = packed_products<V>();
  overlay_entry<kQ8_0>(matmul, "neon_i8mm q8_0", kProducts, four_rows<FourRowsQ8_0<V>>);
  overlay_entry<kIQ4_NL>(matmul, "neon_i8mm iq4_nl", kProducts);
}

}  // namespace ruvllm::kernels
