// The AVX2 products in the kernel table.
#pragma once

#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

void overlay_avx2_matmul(MatmulKernel (&matmul)[kNumDTypes]);
void overlay_avx2_grouped_matmul(MatmulKernel (&grouped)[kNumDTypes]);

}  // namespace ruvllm::kernels
