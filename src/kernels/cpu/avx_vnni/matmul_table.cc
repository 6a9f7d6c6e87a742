// Compiled for the baseline: only the entries themselves need AVX-VNNI.
#include "kernels/cpu/avx_vnni/matmul.h"

namespace ruvllm::kernels {

void overlay_avx_vnni_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  const PackedProducts& products = avx_vnni::kPackedProducts;
  overlay_packed<kQ4_0>(matmul, "avx_vnni q4_0", products);
  overlay_packed<kQ4_1>(matmul, "avx_vnni q4_1", products);
  overlay_packed<kQ5_0>(matmul, "avx_vnni q5_0", products);
  overlay_packed<kQ5_1>(matmul, "avx_vnni q5_1", products);
  overlay_packed<kQ8_0>(matmul, "avx_vnni q8_0", products);
  overlay_packed<kMXFP4>(matmul, "avx_vnni mxfp4", products);
  overlay_packed<kIQ4_NL>(matmul, "avx_vnni iq4_nl", products);
  overlay_packed<kIQ4_XS>(matmul, "avx_vnni iq4_xs", products);
  overlay_packed<kQ2_K>(matmul, "avx_vnni q2_K", products);
  overlay_packed<kQ3_K>(matmul, "avx_vnni q3_K", products);
  overlay_packed<kQ4_K>(matmul, "avx_vnni q4_K", products);
  overlay_packed<kQ5_K>(matmul, "avx_vnni q5_K", products);
  overlay_packed<kQ6_K>(matmul, "avx_vnni q6_K", products);
}

void overlay_avx_vnni_grouped_matmul(MatmulKernel (&grouped)[kNumDTypes]) {
  overlay_grouped<DType::kF16>(grouped, "avx_vnni f16 grouped", avx_vnni::kPackedProducts);
  overlay_grouped<DType::kBF16>(grouped, "avx_vnni bf16 grouped", avx_vnni::kPackedProducts);
}

}  // namespace ruvllm::kernels
