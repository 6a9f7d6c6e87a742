// Compiled for the baseline: only the entries themselves need AVX2.
#include "kernels/cpu/avx2/matmul_table.h"

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/avx2/matmul_entries.h"
#include "kernels/cpu/avx2/packed/matmul_packed.h"

namespace ruvllm::kernels {
namespace {

size_t no_scratch(int32_t) { return 0; }
size_t strip_bytes(int32_t num_cols) {
  return kFloatStripRows * static_cast<size_t>(num_cols) * sizeof(float);
}

constexpr int32_t kGemvChunkRows = 8;
constexpr int32_t kGemmChunkRows = 64;

// gemm_min_x_rows: measured with gemm_bench on Zen 4.
MatmulKernel quantized(const char* name, ActivationKind activation, MatmulFn gemv, MatmulFn gemm,
                       int32_t gemm_min_x_rows, size_t (*scratch_bytes)(int32_t)) {
  return {.name = name,
          .activation = activation,
          .gemv = gemv,
          .gemm = gemm,
          .gemm_min_x_rows = gemm_min_x_rows,
          .gemv_chunk_rows = kGemvChunkRows,
          .gemm_chunk_rows = kGemmChunkRows,
          .scratch_bytes = scratch_bytes};
}

MatmulKernel floating(const char* name, MatmulFn gemv, MatmulFn gemm,
                      size_t (*scratch_bytes)(int32_t)) {
  return {.name = name,
          .activation = ActivationKind::kF32,
          .gemv = gemv,
          .gemm = gemm,
          .gemm_min_x_rows = 6,
          .gemv_chunk_rows = kGemvChunkRows,
          .gemm_chunk_rows = 3 * kFloatStripRows,
          .scratch_bytes = scratch_bytes};
}

}  // namespace

void overlay_avx2_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  constexpr auto kGroup32 = ActivationKind::kQ8Group32;
  constexpr auto kGroup32i16 = ActivationKind::kQ16Group32;
  constexpr auto kGroup256 = ActivationKind::kQ8Group256;
  const auto entry = [&](DType dtype) -> MatmulKernel& {
    return matmul[static_cast<size_t>(dtype)];
  };
  entry(kF32) = floating("avx2 f32", avx2::matmul_f32, avx2::matmul_f32, no_scratch);
  entry(kF16) = floating("avx2 f16", avx2::gemv_f16, avx2::gemm_f16, strip_bytes);
  entry(kBF16) = floating("avx2 bf16", avx2::gemv_bf16, avx2::gemm_bf16, strip_bytes);
  const auto packed = [&]<DType kType>(const char* name, ActivationKind activation, MatmulFn gemv) {
    entry(kType).activation = activation;
    entry(kType).gemv = gemv;
    entry(kType).gemv_chunk_rows = kGemvChunkRows;
    entry(kType).gemm_chunk_rows = kGemmChunkRows;
    overlay_packed<kType>(matmul, name, avx2::kPackedProducts);
  };
  packed.operator()<kQ4_0>("avx2 q4_0", kGroup32, avx2::gemv_q4_0);
  packed.operator()<kQ5_0>("avx2 q5_0", kGroup32, avx2::gemv_q5_0);
  packed.operator()<kQ8_0>("avx2 q8_0", kGroup32i16, avx2::gemv_q8_0);
  packed.operator()<kQ4_K>("avx2 q4_K", kGroup256, avx2::gemv_q4_k);
  packed.operator()<kQ5_K>("avx2 q5_K", kGroup256, avx2::gemv_q5_k);
  packed.operator()<kQ6_K>("avx2 q6_K", kGroup256, avx2::gemv_q6_k);
  packed.operator()<kQ4_1>("avx2 q4_1", kGroup32, avx2::gemv_q4_1);
  packed.operator()<kQ5_1>("avx2 q5_1", kGroup32, avx2::gemv_q5_1);
  packed.operator()<kMXFP4>("avx2 mxfp4", kGroup32, avx2::gemv_mxfp4);
  packed.operator()<kIQ4_NL>("avx2 iq4_nl", kGroup32i16, avx2::gemv_iq4_nl);
  packed.operator()<kQ2_K>("avx2 q2_K", kGroup256, avx2::gemv_q2_k);
  packed.operator()<kQ3_K>("avx2 q3_K", kGroup256, avx2::gemv_q3_k);
  packed.operator()<kIQ4_XS>("avx2 iq4_xs", kGroup256, avx2::gemv_iq4_xs);
  entry(kIQ2_XXS) = quantized("avx2 iq2_xxs", kGroup256, avx2::gemv_iq2_xxs, avx2::gemm_iq2_xxs, 4,
                              avx2::scratch_bytes_superblock);
  entry(kIQ2_XS) = quantized("avx2 iq2_xs", kGroup256, avx2::gemv_iq2_xs, avx2::gemm_iq2_xs, 4,
                             avx2::scratch_bytes_superblock);
  entry(kIQ2_S) = quantized("avx2 iq2_s", kGroup256, avx2::gemv_iq2_s, avx2::gemm_iq2_s, 4,
                            avx2::scratch_bytes_superblock);
  entry(kIQ3_XXS) = quantized("avx2 iq3_xxs", kGroup256, avx2::gemv_iq3_xxs, avx2::gemm_iq3_xxs, 4,
                              avx2::scratch_bytes_superblock);
  entry(kIQ3_S) = quantized("avx2 iq3_s", kGroup256, avx2::gemv_iq3_s, avx2::gemm_iq3_s, 4,
                            avx2::scratch_bytes_superblock);
  entry(kIQ1_S) = quantized("avx2 iq1_s", kGroup256, avx2::gemv_iq1_s, avx2::gemm_iq1_s, 4,
                            avx2::scratch_bytes_superblock);
  entry(kIQ1_M) = quantized("avx2 iq1_m", kGroup256, avx2::gemv_iq1_m, avx2::gemm_iq1_m, 4,
                            avx2::scratch_bytes_superblock);
  entry(kTQ1_0) = quantized("avx2 tq1_0", kGroup256, avx2::gemv_tq1_0, avx2::gemm_tq1_0, 4,
                            avx2::scratch_bytes_superblock);
  entry(kTQ2_0) = quantized("avx2 tq2_0", kGroup256, avx2::gemv_tq2_0, avx2::gemm_tq2_0, 4,
                            avx2::scratch_bytes_superblock);
}

void overlay_avx2_grouped_matmul(MatmulKernel (&grouped)[kNumDTypes]) {
  overlay_grouped<DType::kF16>(grouped, "avx2 f16 grouped", avx2::kPackedProducts);
  overlay_grouped<DType::kBF16>(grouped, "avx2 bf16 grouped", avx2::kPackedProducts);
}

}  // namespace ruvllm::kernels
