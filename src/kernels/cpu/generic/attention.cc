#include "kernels/cpu/generic/attention.h"

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/generic/vec_generic.h"

namespace ruvllm::kernels {
namespace {

size_t attention_scratch_bytes(int32_t head_dim) noexcept {
  return scratch_floats(head_dim) * sizeof(float);
}

}  // namespace

void fill_generic_attention(AttentionKernels& kernels) {
  kernels.name = "generic";
  kernels.paged = paged_attention<Vec<GenericIsa>>;
  kernels.scratch_bytes = attention_scratch_bytes;
}

}  // namespace ruvllm::kernels
