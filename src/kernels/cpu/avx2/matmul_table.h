// The AVX2 products in the kernel table.
#pragma once

#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

void overlay_avx2_matmul(MatmulKernel (&matmul)[kNumDTypes]);

}  // namespace ruvllm::kernels
