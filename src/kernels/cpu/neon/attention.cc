#include "kernels/cpu/neon/attention.h"

#include "kernels/cpu/attention/kernels-inl.h"
#include "kernels/cpu/attention/levels_neon.h"
#include "kernels/cpu/neon/vec_neon.h"

namespace ruvllm::kernels {

void overlay_neon_attention(AttentionKernels& kernels) {
  fill_attention_kernels<Vec<NeonIsa>>("neon", kernels);
}

}  // namespace ruvllm::kernels
