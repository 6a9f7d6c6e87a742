// The kernels behind the public attention functions.
#pragma once

#include "base/core/error.h"
#include "kernels/cpu/kernel_table.h"

namespace ruvllm::api {

struct AttentionKernelSet {
  kernels::ElementwiseKernels elementwise;
  kernels::AttentionKernels attention;
};

// Chosen once: the best of this processor. Thread-safe.
Result<AttentionKernelSet> attention_kernels();

inline constexpr int32_t kMaxAttentionHeads = 1 << 16;

// Of what a caller gives: a head_dim that the kernels take.
Status check_head_dim(int32_t head_dim);

}  // namespace ruvllm::api
