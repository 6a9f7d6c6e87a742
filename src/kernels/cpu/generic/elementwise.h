// Internal: the generic entries of the table of row operations.
#pragma once

#include "kernels/cpu/elementwise.h"

namespace ruvllm::kernels {

void fill_generic_elementwise(ElementwiseKernels& kernels);

}  // namespace ruvllm::kernels
