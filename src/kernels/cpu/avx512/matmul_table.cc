// Compiled for the baseline: only the entries themselves need AVX-512.
#include "kernels/cpu/avx512/matmul.h"

namespace ruvllm::kernels {

void overlay_avx512_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  const auto floating = [&](DType dtype, const char* name, MatmulFn gemv, MatmulFn gemm) {
    MatmulKernel& kernel = matmul[static_cast<size_t>(dtype)];
    kernel.name = name;
    kernel.gemv = gemv;
    kernel.gemm = gemm;
  };
  floating(kF32, "avx512 f32", avx512::matmul_f32, avx512::matmul_f32);
  floating(kF16, "avx512 f16", avx512::gemv_f16, avx512::gemm_f16);
  floating(kBF16, "avx512 bf16", avx512::gemv_bf16, avx512::gemm_bf16);
  const PackedProducts& products = avx512::kPackedProducts;
  overlay_packed<kQ4_0>(matmul, "avx512 q4_0", products);
  overlay_packed<kQ4_1>(matmul, "avx512 q4_1", products);
  overlay_packed<kQ5_0>(matmul, "avx512 q5_0", products);
  overlay_packed<kQ5_1>(matmul, "avx512 q5_1", products);
  overlay_packed<kQ8_0>(matmul, "avx512 q8_0", products);
  overlay_packed<kMXFP4>(matmul, "avx512 mxfp4", products);
  overlay_packed<kIQ4_NL>(matmul, "avx512 iq4_nl", products);
  overlay_packed<kIQ4_XS>(matmul, "avx512 iq4_xs", products);
  overlay_packed<kQ2_K>(matmul, "avx512 q2_K", products);
  overlay_packed<kQ3_K>(matmul, "avx512 q3_K", products);
  overlay_packed<kQ4_K>(matmul, "avx512 q4_K", products);
  overlay_packed<kQ5_K>(matmul, "avx512 q5_K", products);
  overlay_packed<kQ6_K>(matmul, "avx512 q6_K", products);
}

void overlay_avx512_grouped_matmul(MatmulKernel (&grouped)[kNumDTypes]) {
  overlay_grouped<DType::kF16>(grouped, "avx512 f16 grouped", avx512::kPackedProducts);
  overlay_grouped<DType::kBF16>(grouped, "avx512 bf16 grouped", avx512::kPackedProducts);
}

}  // namespace ruvllm::kernels
