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

}  // namespace ruvllm::api
