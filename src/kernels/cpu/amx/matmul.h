// The AMX products by type, for the table.
#pragma once

#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

void overlay_amx_matmul(MatmulKernel (&matmul)[kNumDTypes]);

}  // namespace ruvllm::kernels
