// Internal: the neon entries of the table of products, by the instructions they need.
#pragma once

#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

void overlay_neon_matmul(MatmulKernel (&matmul)[kNumDTypes]);
void overlay_neon_dotprod_matmul(MatmulKernel (&matmul)[kNumDTypes]);
void overlay_neon_i8mm_matmul(MatmulKernel (&matmul)[kNumDTypes]);
// f32, f16 and bf16; part of overlay_neon_matmul.
void overlay_neon_float_matmul(MatmulKernel (&matmul)[kNumDTypes]);

}  // namespace ruvllm::kernels
