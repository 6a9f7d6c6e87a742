// The entries of the table of attention kernels for one vector type.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention/flash-inl.h"
#include "kernels/cpu/attention/quantize-inl.h"
#include "kernels/cpu/attention/standard-inl.h"

namespace ruvllm::kernels {
namespace {

inline size_t attention_scratch_bytes(int32_t head_dim) noexcept {
  return scratch_floats(head_dim) * sizeof(float);
}

template <class V>
void fill_attention_kernels(const char* name, AttentionKernels& kernels) {
  kernels.name = name;
  kernels.paged = paged_attention<V>;
  kernels.scratch_bytes = attention_scratch_bytes;
  kernels.part = attention_part<V>;
  kernels.merge_parts = merge_attention_parts<V>;
  kernels.standard = standard_attention<V>;
  kernels.standard_scratch_bytes = standard_scratch_bytes;
  kernels.quantize_kv_page = quantize_kv_page<V>;
}

}  // namespace
}  // namespace ruvllm::kernels
