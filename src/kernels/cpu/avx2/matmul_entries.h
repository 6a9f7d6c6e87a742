// The AVX2 products by type, for the table.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"

namespace ruvllm::kernels::avx2 {

void gemv_q4_0(const MatmulArgs& args) noexcept;
void gemm_q4_0(const MatmulArgs& args) noexcept;
void gemv_q5_0(const MatmulArgs& args) noexcept;
void gemm_q5_0(const MatmulArgs& args) noexcept;
void gemv_q8_0(const MatmulArgs& args) noexcept;
void gemm_q8_0(const MatmulArgs& args) noexcept;
void gemv_q4_k(const MatmulArgs& args) noexcept;
void gemm_q4_k(const MatmulArgs& args) noexcept;
void gemv_q5_k(const MatmulArgs& args) noexcept;
void gemm_q5_k(const MatmulArgs& args) noexcept;
void gemv_q6_k(const MatmulArgs& args) noexcept;
void gemm_q6_k(const MatmulArgs& args) noexcept;

// One function for any number of x rows: float types need no panel.
void matmul_f32(const MatmulArgs& args) noexcept;
void matmul_f16(const MatmulArgs& args) noexcept;
void matmul_bf16(const MatmulArgs& args) noexcept;

// Bytes of gemm's scratch; they do not grow with num_cols.
size_t scratch_bytes_block32(int32_t num_cols);
size_t scratch_bytes_q45_k(int32_t num_cols);
size_t scratch_bytes_q6_k(int32_t num_cols);

}  // namespace ruvllm::kernels::avx2
