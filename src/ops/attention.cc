#include "ops/attention.h"

#include <algorithm>
#include <cstring>

namespace ruvllm::ops {
namespace {

using kernels::kMaxAttentionRows;
using kernels::kPageTokens;

// A thread's scratch: the kernel's own, then packed queries and results, then what each row sees.
struct Scratch {
  std::byte* kernel;
  float* q;
  float* dst;
  float* sinks;
  int32_t* first_visible;
  int32_t* num_visible;
};

size_t packed_floats(const AttentionShape& shape) {
  return static_cast<size_t>(kMaxAttentionRows) * static_cast<size_t>(shape.head_dim);
}

size_t kernel_bytes(const kernels::AttentionKernels& kernels, const AttentionShape& shape) {
  return (kernels.scratch_bytes(shape.head_dim) + 63) / 64 * 64;
}

Scratch carve(const kernels::AttentionKernels& kernels, const AttentionShape& shape,
              std::byte* scratch) {
  float* q = reinterpret_cast<float*>(scratch + kernel_bytes(kernels, shape));
  float* dst = q + packed_floats(shape);
  float* sinks = dst + packed_floats(shape);
  int32_t* first_visible = reinterpret_cast<int32_t*>(sinks + kMaxAttentionRows);
  return {scratch, q, dst, sinks, first_visible, first_visible + kMaxAttentionRows};
}

// Query rows of one span and KV head, counted as token * group + head in group, in tiles.
int64_t num_tiles(const SpanView& span, int32_t group) {
  const int64_t rows = static_cast<int64_t>(span.num_rows) * group;
  return (rows + kMaxAttentionRows - 1) / kMaxAttentionRows;
}

void run_tile(const kernels::AttentionKernels& kernels, const AttentionShape& shape,
              const SpanView& span, const KvView& kv, int32_t layer_idx, int32_t kv_head_idx,
              int64_t tile, const float* q, float* dst, const Scratch& scratch) noexcept {
  const int32_t group = shape.group();
  const int64_t first = tile * kMaxAttentionRows;
  const int64_t last =
      std::min<int64_t>(first + kMaxAttentionRows, static_cast<int64_t>(span.num_rows) * group);
  const size_t row_bytes = static_cast<size_t>(shape.head_dim) * sizeof(float);
  // Offset of (row, head) in q and dst.
  const auto offset = [&](int64_t flat) {
    const int64_t row = span.first_row + flat / group;
    const int64_t head = static_cast<int64_t>(kv_head_idx) * group + flat % group;
    return (row * shape.num_heads + head) * shape.head_dim;
  };
  for (int64_t flat = first; flat < last; ++flat) {
    const int64_t i = flat - first;
    const int32_t rows_seen = shape.causal ? static_cast<int32_t>(flat / group) + 1 : span.num_rows;
    const int32_t visible = span.first_position + rows_seen;
    std::memcpy(scratch.q + i * shape.head_dim, q + offset(flat), row_bytes);
    scratch.num_visible[i] = visible;
    scratch.first_visible[i] = std::max(0, visible - shape.window);
    if (shape.sinks != nullptr) {
      scratch.sinks[i] = shape.sinks[static_cast<int64_t>(kv_head_idx) * group + flat % group];
    }
  }
  kernels::AttentionArgs args;
  args.q = scratch.q;
  args.q_stride = static_cast<size_t>(shape.head_dim);
  args.num_rows = static_cast<int32_t>(last - first);
  args.first_visible = shape.window > 0 ? scratch.first_visible : nullptr;
  args.num_visible = scratch.num_visible;
  args.head_dim = shape.head_dim;
  args.scale = shape.scale;
  args.soft_cap = shape.soft_cap;
  args.sinks = shape.sinks != nullptr ? scratch.sinks : nullptr;
  const size_t k_offset = kv.head_offset(layer_idx, kv_head_idx);
  args.kv = {kv.pool, kv.page_stride, k_offset, k_offset + kv.v_offset, span.block_table};
  args.dst = scratch.dst;
  args.dst_stride = static_cast<size_t>(shape.head_dim);
  args.scratch = scratch.kernel;
  kernels.paged(args);
  for (int64_t flat = first; flat < last; ++flat) {
    std::memcpy(dst + offset(flat), scratch.dst + (flat - first) * shape.head_dim, row_bytes);
  }
}

}  // namespace

size_t attention_scratch_bytes(const kernels::AttentionKernels& kernels,
                               const AttentionShape& shape) {
  return kernel_bytes(kernels, shape) + 2 * packed_floats(shape) * sizeof(float) +
         kMaxAttentionRows * (sizeof(float) + 2 * sizeof(int32_t));
}

void store_kv_row(const kernels::ElementwiseKernels& kernels, const AttentionShape& shape,
                  const KvView& kv, int32_t layer_idx, const uint32_t* block_table,
                  int32_t position, const float* k, const float* v) noexcept {
  std::byte* page = kv.pool + block_table[position / kPageTokens] * kv.page_stride;
  const size_t slot = static_cast<size_t>(position % kPageTokens);
  const size_t head_dim = static_cast<size_t>(shape.head_dim);
  for (int32_t head = 0; head < shape.num_kv_heads; ++head) {
    std::byte* base = page + kv.head_offset(layer_idx, head);
    uint16_t* keys = reinterpret_cast<uint16_t*>(base);                  // [head_dim, kPageTokens]
    uint16_t* values = reinterpret_cast<uint16_t*>(base + kv.v_offset);  // [kPageTokens, head_dim]
    const float* k_head = k + static_cast<size_t>(head) * head_dim;
    const float* v_head = v + static_cast<size_t>(head) * head_dim;
    kernels.store_f16(k_head, shape.head_dim, keys + slot, kPageTokens);
    kernels.store_f16(v_head, shape.head_dim, values + slot * head_dim, 1);
  }
}

void run_attention(ThreadTeam::Worker& worker, const kernels::AttentionKernels& kernels,
                   const AttentionShape& shape, const BatchView& batch, const KvView& kv,
                   int32_t layer_idx, const float* q, float* dst, std::byte* scratch) noexcept {
  const int32_t group = shape.group();
  int64_t tiles = 0;
  for (int32_t i = 0; i < batch.num_spans; ++i) tiles += num_tiles(batch.spans[i], group);
  const Scratch carved = carve(kernels, shape, scratch);
  worker.for_chunks(tiles * shape.num_kv_heads, 1, [&](int64_t index, int64_t) {
    const int32_t kv_head_idx = static_cast<int32_t>(index % shape.num_kv_heads);
    // From the last tile down: late positions see the most keys, and long work first balances best.
    int64_t tile = tiles - 1 - index / shape.num_kv_heads;
    for (int32_t i = 0; i < batch.num_spans; ++i) {
      const int64_t here = num_tiles(batch.spans[i], group);
      if (tile < here) {
        run_tile(kernels, shape, batch.spans[i], kv, layer_idx, kv_head_idx, tile, q, dst, carved);
        return;
      }
      tile -= here;
    }
  });
}

}  // namespace ruvllm::ops
