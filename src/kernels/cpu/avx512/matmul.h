// The AVX-512 VNNI products, for the table.
#pragma once

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/packed/packed_products.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

void overlay_avx512_matmul(MatmulKernel (&matmul)[kNumDTypes]);
void overlay_avx512_grouped_matmul(MatmulKernel (&grouped)[kNumDTypes]);

namespace avx512 {
extern const PackedProducts kPackedProducts;

void matmul_f32(const MatmulArgs& args) noexcept;
void gemv_f16(const MatmulArgs& args) noexcept;
void gemm_f16(const MatmulArgs& args) noexcept;
void gemv_bf16(const MatmulArgs& args) noexcept;
void gemm_bf16(const MatmulArgs& args) noexcept;
}  // namespace avx512

}  // namespace ruvllm::kernels
