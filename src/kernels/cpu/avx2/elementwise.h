// Internal: the avx2 entries of the table of row operations.
#pragma once

#include "kernels/cpu/elementwise.h"

namespace ruvllm::kernels {

void overlay_avx2_elementwise(ElementwiseKernels& kernels);

}  // namespace ruvllm::kernels
