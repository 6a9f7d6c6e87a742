#include "kernels/cpu/avx512/attention.h"

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention/kernels-inl.h"
#include "kernels/cpu/attention/levels_avx2.h"
#include "kernels/cpu/attention/levels_avx512.h"
#include "kernels/cpu/avx2/vec_avx2.h"
#include "kernels/cpu/avx512/vec_avx512.h"

namespace ruvllm::kernels {
namespace {

// Heads whose dimensions are no multiple of 16 take half as wide vectors.
bool takes_full_width(int32_t head_dim) { return head_dim % Vec<Avx512Isa>::kLanes == 0; }

void paged(const AttentionArgs& args) noexcept {
  if (takes_full_width(args.head_dim)) return paged_attention<Vec<Avx512Isa>>(args);
  paged_attention<Vec<Avx2Isa>>(args);
}

void part(const AttentionArgs& args, int32_t part_idx, float* dst) noexcept {
  if (takes_full_width(args.head_dim)) return attention_part<Vec<Avx512Isa>>(args, part_idx, dst);
  attention_part<Vec<Avx2Isa>>(args, part_idx, dst);
}

void merge_parts(const AttentionArgs& args, const float* parts, size_t part_stride) noexcept {
  if (takes_full_width(args.head_dim)) {
    return merge_attention_parts<Vec<Avx512Isa>>(args, parts, part_stride);
  }
  merge_attention_parts<Vec<Avx2Isa>>(args, parts, part_stride);
}

void standard(const AttentionArgs& args) noexcept {
  if (takes_full_width(args.head_dim)) return standard_attention<Vec<Avx512Isa>>(args);
  standard_attention<Vec<Avx2Isa>>(args);
}

void quantize_page(KvStoreFormat format, const uint16_t* k, const uint16_t* v, int32_t head_dim,
                   std::byte* dst_k, std::byte* dst_v) noexcept {
  if (takes_full_width(head_dim)) {
    return quantize_kv_page<Vec<Avx512Isa>>(format, k, v, head_dim, dst_k, dst_v);
  }
  quantize_kv_page<Vec<Avx2Isa>>(format, k, v, head_dim, dst_k, dst_v);
}

}  // namespace

void overlay_avx512_attention(AttentionKernels& kernels) {
  fill_attention_kernels<Vec<Avx512Isa>>("avx512", kernels);
  kernels.paged = paged;
  kernels.part = part;
  kernels.merge_parts = merge_parts;
  kernels.standard = standard;
  kernels.quantize_kv_page = quantize_page;
}

}  // namespace ruvllm::kernels
