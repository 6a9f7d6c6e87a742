// Internal: the neon entries of the table of attention kernels.
#pragma once

#include "kernels/cpu/attention.h"

namespace ruvllm::kernels {

void overlay_neon_attention(AttentionKernels& kernels);

}  // namespace ruvllm::kernels
