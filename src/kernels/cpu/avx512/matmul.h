// The AVX-512 VNNI products by type, for the table.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/packed/packed_layout.h"

namespace ruvllm::kernels {

void overlay_avx512_matmul(MatmulKernel (&matmul)[kNumDTypes]);

namespace avx512 {

void packed_q4_0(const MatmulArgs& args) noexcept;
void packed_q8_0(const MatmulArgs& args) noexcept;
void packed_q4_k(const MatmulArgs& args) noexcept;
void packed_q5_k(const MatmulArgs& args) noexcept;
void packed_q6_k(const MatmulArgs& args) noexcept;

void gemm_q4_0(const MatmulArgs& args) noexcept;
void gemm_q8_0(const MatmulArgs& args) noexcept;
void gemm_q4_k(const MatmulArgs& args) noexcept;
void gemm_q5_k(const MatmulArgs& args) noexcept;
void gemm_q6_k(const MatmulArgs& args) noexcept;

void pack_slice_avx512(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                       int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept;

}  // namespace avx512
}  // namespace ruvllm::kernels
