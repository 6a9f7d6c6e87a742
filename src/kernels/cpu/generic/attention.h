// Internal: the generic entries of the table of attention kernels.
#pragma once

#include "kernels/cpu/attention.h"

namespace ruvllm::kernels {

void fill_generic_attention(AttentionKernels& kernels);

}  // namespace ruvllm::kernels
