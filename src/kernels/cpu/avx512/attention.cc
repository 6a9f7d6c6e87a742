#include "kernels/cpu/avx512/attention.h"

#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/avx2/vec_avx2.h"
#include "kernels/cpu/avx512/vec_avx512.h"

namespace ruvllm::kernels {
namespace {

// Heads whose dimensions are no multiple of 16 take half as wide vectors.
void paged(const AttentionArgs& args) noexcept {
  if (args.head_dim % Vec<Avx512Isa>::kLanes == 0) {
    paged_attention<Vec<Avx512Isa>>(args);
  } else {
    paged_attention<Vec<Avx2Isa>>(args);
  }
}

}  // namespace

void overlay_avx512_attention(AttentionKernels& kernels) {
  fill_attention_kernels<Vec<Avx512Isa>>("avx512", kernels);
  kernels.paged = paged;
}

}  // namespace ruvllm::kernels
