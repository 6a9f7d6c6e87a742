#include "kernels/cpu/avx2/attention.h"

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/avx2/vec_avx2.h"

namespace ruvllm::kernels {
namespace {

size_t attention_scratch_bytes(int32_t head_dim) noexcept {
  return scratch_floats(head_dim) * sizeof(float);
}

}  // namespace

void overlay_avx2_attention(AttentionKernels& kernels) {
  kernels.name = "avx2";
  kernels.paged = paged_attention<Vec<Avx2Isa>>;
  kernels.scratch_bytes = attention_scratch_bytes;
}

}  // namespace ruvllm::kernels
