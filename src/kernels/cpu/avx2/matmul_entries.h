// The AVX2 products by type, for the table.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"

namespace ruvllm::kernels::avx2 {

void gemv_q4_0(const MatmulArgs& args) noexcept;
void gemv_q5_0(const MatmulArgs& args) noexcept;
void gemv_q8_0(const MatmulArgs& args) noexcept;
void gemv_q4_k(const MatmulArgs& args) noexcept;
void gemv_q5_k(const MatmulArgs& args) noexcept;
void gemv_q6_k(const MatmulArgs& args) noexcept;
void gemv_q4_1(const MatmulArgs& args) noexcept;
void gemv_q5_1(const MatmulArgs& args) noexcept;
void gemv_mxfp4(const MatmulArgs& args) noexcept;
void gemv_iq4_nl(const MatmulArgs& args) noexcept;
void gemv_q2_k(const MatmulArgs& args) noexcept;
void gemv_q3_k(const MatmulArgs& args) noexcept;
void gemv_iq4_xs(const MatmulArgs& args) noexcept;
void gemv_iq2_xxs(const MatmulArgs& args) noexcept;
void gemm_iq2_xxs(const MatmulArgs& args) noexcept;
void gemv_iq2_xs(const MatmulArgs& args) noexcept;
void gemm_iq2_xs(const MatmulArgs& args) noexcept;
void gemv_iq2_s(const MatmulArgs& args) noexcept;
void gemm_iq2_s(const MatmulArgs& args) noexcept;
void gemv_iq3_xxs(const MatmulArgs& args) noexcept;
void gemm_iq3_xxs(const MatmulArgs& args) noexcept;
void gemv_iq3_s(const MatmulArgs& args) noexcept;
void gemm_iq3_s(const MatmulArgs& args) noexcept;
void gemv_iq1_s(const MatmulArgs& args) noexcept;
void gemm_iq1_s(const MatmulArgs& args) noexcept;
void gemv_iq1_m(const MatmulArgs& args) noexcept;
void gemm_iq1_m(const MatmulArgs& args) noexcept;
void gemv_tq1_0(const MatmulArgs& args) noexcept;
void gemm_tq1_0(const MatmulArgs& args) noexcept;
void gemv_tq2_0(const MatmulArgs& args) noexcept;
void gemm_tq2_0(const MatmulArgs& args) noexcept;

void matmul_f32(const MatmulArgs& args) noexcept;
void gemv_f16(const MatmulArgs& args) noexcept;
void gemm_f16(const MatmulArgs& args) noexcept;
void gemv_bf16(const MatmulArgs& args) noexcept;
void gemm_bf16(const MatmulArgs& args) noexcept;

// Bytes of gemm's scratch; they do not grow with num_cols.
size_t scratch_bytes_superblock(int32_t num_cols);

}  // namespace ruvllm::kernels::avx2
