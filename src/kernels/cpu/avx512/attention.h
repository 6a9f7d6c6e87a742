// Internal: the avx512 entries of the table of attention kernels.
#pragma once

#include "kernels/cpu/attention.h"

namespace ruvllm::kernels {

void overlay_avx512_attention(AttentionKernels& kernels);

}  // namespace ruvllm::kernels
