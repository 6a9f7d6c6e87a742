#include "kernels/cpu/avx512/elementwise.h"

#include "kernels/cpu/avx512/vec_avx512.h"
#include "kernels/cpu/elementwise-inl.h"

namespace ruvllm::kernels {

void overlay_avx512_elementwise(ElementwiseKernels& kernels) {
  fill_elementwise_kernels<Vec<Avx512Isa>>("avx512", kernels);
}

}  // namespace ruvllm::kernels
