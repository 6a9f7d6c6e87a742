#include "kernels/cpu/avx512/attention.h"

#include "kernels/cpu/attention_standard-inl.h"
#include "kernels/cpu/avx2/vec_avx2.h"
#include "kernels/cpu/avx512/vec_avx512.h"

namespace ruvllm::kernels {
namespace {

// Heads whose dimensions are no multiple of 16 take half as wide vectors.
bool takes_full_width(const AttentionArgs& args) {
  return args.head_dim % Vec<Avx512Isa>::kLanes == 0;
}

void paged(const AttentionArgs& args) noexcept {
  if (takes_full_width(args)) return paged_attention<Vec<Avx512Isa>>(args);
  paged_attention<Vec<Avx2Isa>>(args);
}

void standard(const AttentionArgs& args) noexcept {
  if (takes_full_width(args)) return standard_attention<Vec<Avx512Isa>>(args);
  standard_attention<Vec<Avx2Isa>>(args);
}

}  // namespace

void overlay_avx512_attention(AttentionKernels& kernels) {
  fill_attention_kernels<Vec<Avx512Isa>>("avx512", kernels);
  kernels.paged = paged;
  kernels.standard = standard;
}

}  // namespace ruvllm::kernels
