// Internal: the avx2 entries of the table of attention kernels.
#pragma once

#include "kernels/cpu/attention.h"

namespace ruvllm::kernels {

void overlay_avx2_attention(AttentionKernels& kernels);

}  // namespace ruvllm::kernels
