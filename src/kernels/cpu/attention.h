// Flash attention over paged keys and values (https://arxiv.org/abs/2205.14135, 2309.06180).
//
// One call handles one KV head of one layer of one sequence and up to kMaxAttentionRows query rows:
// the query heads of the GQA group times some consecutive positions, which share every K/V tile.
// Pages are walked in order with a running maximum and sum for each row, so a row's bits depend on
// its own query and the pages alone, not on which rows are beside it. Pages that no row sees a key
// of are not read. Whatever bits keys and values outside of what a row sees hold, they have no
// influence. A row whose scores are all -infinity gives zeros; NaN and +infinity in a row's scores
// make that row NaN and no other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kv_store.h"

namespace ruvllm::kernels {

inline constexpr int32_t kPageTokens = 32;
inline constexpr int32_t kMaxAttentionRows = 64;
// Part i of a row's keys is those of [i * kPartTokens, (i + 1) * kPartTokens). What the parts give
// is added up in their order, so that several threads may compute them without changing a bit.
inline constexpr int32_t kPartTokens = 1024;

// A page of one KV head holds K transposed, [head_dim, kPageTokens], and V, [kPageTokens,
// head_dim], both binary16: keys lie across vector lanes, so scores need no horizontal sums.
struct PagedKvHead {
  const std::byte* pool = nullptr;  // page p starts at pool + p * page_stride
  size_t page_stride = 0;           // bytes
  size_t k_offset = 0;              // bytes from the page's start, for this layer and head
  size_t v_offset = 0;
  const uint32_t* block_table = nullptr;  // page of tokens [32 i, 32 i + 32) is block_table[i]
};

// Quantized pages of one KV head, laid out as kv_store.h says.
struct StoredKvHead {
  const std::byte* pool = nullptr;  // page p starts at pool + p * page_stride
  size_t page_stride = 0;           // bytes
  size_t k_offset = 0;              // bytes from the page's start, for this layer and head
  size_t v_offset = 0;
  const uint32_t* block_table = nullptr;  // like PagedKvHead's; read where a row reads the store
  KvStoreFormat format = KvStoreFormat::kF16;
};

struct AttentionArgs {
  const float* q = nullptr;  // [num_rows, head_dim], not yet scaled
  size_t q_stride = 0;       // elements
  int32_t num_rows = 0;      // 1..kMaxAttentionRows
  // [num_rows] each: row i sees keys [first_visible[i], num_visible[i]), at least one; without
  // first_visible, from 0 on.
  const int32_t* first_visible = nullptr;
  const int32_t* num_visible = nullptr;
  int32_t head_dim = 0;  // any multiple of 8, at most 256
  float scale = 0.0f;
  float soft_cap = 0.0f;  // a score s becomes soft_cap * tanh(s / soft_cap); 0: it stays
  // [num_rows] or none: a score of each row beside those of its keys, never capped, whose value is
  // zero (https://arxiv.org/abs/2309.17453).
  const float* sinks = nullptr;
  PagedKvHead kv;
  StoredKvHead stored;
  // [num_rows] multiples of kPageTokens, or none: row i reads tokens [kSinkTokens, store_end[i])
  // from `stored` and all others from `kv`. Pages are read only where a row reads them, so that kv
  // may lack those that all rows have in the store.
  const int32_t* store_end = nullptr;
  float* dst = nullptr;  // [num_rows, head_dim]
  size_t dst_stride = 0;
  std::byte* scratch = nullptr;  // attention_scratch_bytes(head_dim), 64-byte aligned, per thread
};

// Of one row in one part: output [head_dim] before the division, maximum, sum; the rest is padding.
constexpr size_t attention_part_floats(int32_t head_dim) {
  return static_cast<size_t>(head_dim) + 16;
}

struct AttentionKernels {
  const char* name = nullptr;
  void (*paged)(const AttentionArgs& args) noexcept = nullptr;
  size_t (*scratch_bytes)(int32_t head_dim) = nullptr;
  // paged() in two steps with the same bits: each part of the keys that any row sees, then all of
  // them together. A part's dst, and what `parts` points to, is [num_rows, attention_part_floats];
  // parts follow each other, from that of the first visible key on, `part_stride` floats apart.
  // The second step takes neither q nor keys nor scratch.
  void (*part)(const AttentionArgs& args, int32_t part_idx, float* dst) noexcept = nullptr;
  void (*merge_parts)(const AttentionArgs& args, const float* parts,
                      size_t part_stride) noexcept = nullptr;
  // The same result, up to rounding, from all scores of a row at once: nothing to rescale, and
  // scratch that grows with the number of keys between the first and the last that a row sees.
  void (*standard)(const AttentionArgs& args) noexcept = nullptr;
  size_t (*standard_scratch_bytes)(int32_t head_dim, int32_t num_keys) = nullptr;
  // The binary16 page of a head, k [head_dim, kPageTokens] and v [kPageTokens, head_dim], in the
  // store's form. Any format but kF16; the same bytes on every ISA.
  void (*quantize_kv_page)(KvStoreFormat format, const uint16_t* k, const uint16_t* v,
                           int32_t head_dim, std::byte* dst_k, std::byte* dst_v) noexcept = nullptr;
};

}  // namespace ruvllm::kernels
