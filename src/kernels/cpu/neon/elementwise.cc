#include "kernels/cpu/neon/elementwise.h"

#include "kernels/cpu/elementwise-inl.h"
#include "kernels/cpu/neon/vec_neon.h"

namespace ruvllm::kernels {

void overlay_neon_elementwise(ElementwiseKernels& kernels) {
  fill_elementwise_kernels<Vec<NeonIsa>>("neon", kernels);
}

}  // namespace ruvllm::kernels
