// Portable matrix products: what every machine can run and every ISA's quantized bits must equal.
#pragma once

#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

void fill_generic_matmul(MatmulKernel (&matmul)[kNumDTypes]);

}  // namespace ruvllm::kernels
