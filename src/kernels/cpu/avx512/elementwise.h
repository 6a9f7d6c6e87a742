// Internal: the avx512 entries of the table of row operations.
#pragma once

#include "kernels/cpu/elementwise.h"

namespace ruvllm::kernels {

void overlay_avx512_elementwise(ElementwiseKernels& kernels);

}  // namespace ruvllm::kernels
