#include "kernels/cpu/avx2/attention.h"

#include "kernels/cpu/attention/kernels-inl.h"
#include "kernels/cpu/attention/levels_avx2.h"
#include "kernels/cpu/avx2/vec_avx2.h"

namespace ruvllm::kernels {

void overlay_avx2_attention(AttentionKernels& kernels) {
  fill_attention_kernels<Vec<Avx2Isa>>("avx2", kernels);
}

}  // namespace ruvllm::kernels
