#include "kernels/cpu/generic/elementwise.h"

#include "kernels/cpu/elementwise-inl.h"
#include "kernels/cpu/generic/vec_generic.h"

namespace ruvllm::kernels {

void fill_generic_elementwise(ElementwiseKernels& kernels) {
  fill_elementwise_kernels<Vec<GenericIsa>>("generic", kernels);
}

}  // namespace ruvllm::kernels
