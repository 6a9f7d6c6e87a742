#include "kernels/cpu/generic/attention.h"

#include "kernels/cpu/attention/kernels-inl.h"
#include "kernels/cpu/generic/vec_generic.h"

namespace ruvllm::kernels {

void fill_generic_attention(AttentionKernels& kernels) {
  fill_attention_kernels<Vec<GenericIsa>>("generic", kernels);
}

}  // namespace ruvllm::kernels
