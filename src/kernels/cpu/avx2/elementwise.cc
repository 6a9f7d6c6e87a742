#include "kernels/cpu/avx2/elementwise.h"

#include "kernels/cpu/avx2/vec_avx2.h"
#include "kernels/cpu/elementwise-inl.h"

namespace ruvllm::kernels {

void overlay_avx2_elementwise(ElementwiseKernels& kernels) {
  fill_elementwise_kernels<Vec<Avx2Isa>>("avx2", kernels);
}

}  // namespace ruvllm::kernels
