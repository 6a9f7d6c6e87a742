// Internal: the neon entries of the table of row operations.
#pragma once

#include "kernels/cpu/elementwise.h"

namespace ruvllm::kernels {

void overlay_neon_elementwise(ElementwiseKernels& kernels);

}  // namespace ruvllm::kernels
