#include "ops/attention.h"

#include <algorithm>
#include <cstring>

namespace ruvllm::ops {
namespace {

using kernels::kMaxAttentionRows;
using kernels::kPageTokens;
using kernels::kPartTokens;

// A thread's scratch: the kernel's own, then packed queries and results, then what each row sees.
struct Scratch {
  std::byte* kernel;
  float* q;
  float* dst;
  float* sinks;
  int32_t* first_visible;
  int32_t* num_visible;
  int32_t* store_end;
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
  return {scratch,
          q,
          dst,
          sinks,
          first_visible,
          first_visible + kMaxAttentionRows,
          first_visible + 2 * kMaxAttentionRows};
}

// Query rows of one span and KV head, counted as token * group + head in group, in tiles.
int64_t num_tiles(const SpanView& span, int32_t group) {
  const int64_t rows = static_cast<int64_t>(span.num_rows) * group;
  return (rows + kMaxAttentionRows - 1) / kMaxAttentionRows;
}

// What the rows of a call have in common.
struct Pass {
  const kernels::AttentionKernels& kernels;
  const AttentionShape& shape;
  const BatchView& batch;
  const KvView& kv;
  int32_t layer_idx;
  const float* q;
  float* dst;
  Scratch scratch;
};

// Up to kMaxAttentionRows query rows of one span and KV head: [begin, end), counted as
// token * group + head in group.
struct Tile {
  const SpanView* span;
  int32_t kv_head_idx;
  int64_t begin, end;

  int32_t num_rows() const { return static_cast<int32_t>(end - begin); }
};

int64_t count_tiles(const BatchView& batch, int32_t group) {
  int64_t tiles = 0;
  for (int32_t i = 0; i < batch.num_spans; ++i) tiles += num_tiles(batch.spans[i], group);
  return tiles;
}

// Tiles come with all their KV heads, from the last one down: late positions see the most keys, and
// long work first balances best. total: of tiles without heads.
Tile find_tile(const Pass& pass, int64_t index, int64_t total) {
  const int32_t group = pass.shape.group();
  const int32_t num_kv_heads = pass.shape.num_kv_heads;
  int64_t tile = total - 1 - index / num_kv_heads;
  const SpanView* span = pass.batch.spans;
  for (int64_t here = num_tiles(*span, group); tile >= here; here = num_tiles(*span, group)) {
    tile -= here;
    ++span;
  }
  const int64_t begin = tile * kMaxAttentionRows;
  const int64_t end =
      std::min<int64_t>(begin + kMaxAttentionRows, static_cast<int64_t>(span->num_rows) * group);
  return {span, static_cast<int32_t>(index % num_kv_heads), begin, end};
}

// Keys that row `flat` of a span sees: up to its own position, in the window, or without causality
// up to its span's last.
int32_t num_visible(const AttentionShape& shape, const SpanView& span, int64_t flat) {
  const int32_t rows_seen =
      shape.causal ? static_cast<int32_t>(flat / shape.group()) + 1 : span.num_rows;
  return span.first_position + rows_seen;
}
int32_t first_visible(const AttentionShape& shape, int32_t visible) {
  return shape.window > 0 ? std::max(0, visible - shape.window) : 0;
}

// Offset of a tile's row, `flat` in its span, in q and dst.
int64_t row_offset(const Pass& pass, const Tile& tile, int64_t flat) {
  const int32_t group = pass.shape.group();
  const int64_t row = tile.span->first_row + flat / group;
  const int64_t head = static_cast<int64_t>(tile.kv_head_idx) * group + flat % group;
  return (row * pass.shape.num_heads + head) * pass.shape.head_dim;
}

size_t row_bytes(const Pass& pass) {
  return static_cast<size_t>(pass.shape.head_dim) * sizeof(float);
}

// Packs the tile's queries and what its rows see into the thread's scratch.
kernels::AttentionArgs pack_tile(const Pass& pass, const Tile& tile) {
  const AttentionShape& shape = pass.shape;
  const Scratch& scratch = pass.scratch;
  const int32_t group = shape.group();
  for (int64_t flat = tile.begin; flat < tile.end; ++flat) {
    const int64_t i = flat - tile.begin;
    std::memcpy(scratch.q + i * shape.head_dim, pass.q + row_offset(pass, tile, flat),
                row_bytes(pass));
    scratch.num_visible[i] = num_visible(shape, *tile.span, flat);
    scratch.first_visible[i] = first_visible(shape, scratch.num_visible[i]);
    if (pass.kv.has_store()) {
      const int32_t position = tile.span->first_position + static_cast<int32_t>(flat / group);
      scratch.store_end[i] = pass.kv.tiers.stored_pages(position) * kPageTokens;
    }
    if (shape.sinks != nullptr) {
      scratch.sinks[i] = shape.sinks[static_cast<int64_t>(tile.kv_head_idx) * group + flat % group];
    }
  }
  kernels::AttentionArgs args;
  args.q = scratch.q;
  args.q_stride = static_cast<size_t>(shape.head_dim);
  args.num_rows = tile.num_rows();
  args.first_visible = shape.window > 0 ? scratch.first_visible : nullptr;
  args.num_visible = scratch.num_visible;
  args.head_dim = shape.head_dim;
  args.scale = shape.scale;
  args.soft_cap = shape.soft_cap;
  args.sinks = shape.sinks != nullptr ? scratch.sinks : nullptr;
  const KvPages& pages = pass.kv.pages;
  const size_t k_offset = pages.head_offset(pass.layer_idx, tile.kv_head_idx);
  args.kv = {pages.pool, pages.page_stride, k_offset, k_offset + pages.v_offset,
             tile.span->block_table};
  if (pass.kv.has_store()) {
    const KvPages& store = pass.kv.store;
    const size_t stored_k_offset = store.head_offset(pass.layer_idx, tile.kv_head_idx);
    args.stored = {store.pool,
                   store.page_stride,
                   stored_k_offset,
                   stored_k_offset + store.v_offset,
                   tile.span->store_table,
                   pass.kv.format};
    args.store_end = scratch.store_end;
  }
  args.dst = scratch.dst;
  args.dst_stride = static_cast<size_t>(shape.head_dim);
  args.scratch = scratch.kernel;
  return args;
}

// In the place of the tile's own queries, which nobody else reads, if q and dst are the same.
void store_tile(const Pass& pass, const Tile& tile) {
  for (int64_t flat = tile.begin; flat < tile.end; ++flat) {
    std::memcpy(pass.dst + row_offset(pass, tile, flat),
                pass.scratch.dst + (flat - tile.begin) * pass.shape.head_dim, row_bytes(pass));
  }
}

// Parts of the keys that a tile's rows see: [first, first + count).
struct PartRange {
  int32_t first, count;
};

PartRange parts_of(const Pass& pass, const Tile& tile) {
  const int32_t begin = first_visible(pass.shape, num_visible(pass.shape, *tile.span, tile.begin));
  const int32_t end = num_visible(pass.shape, *tile.span, tile.end - 1);
  const int32_t first = begin / kPartTokens;
  return {first, (end - 1) / kPartTokens + 1 - first};
}

size_t part_stride(const AttentionShape& shape, int32_t num_rows) {
  return static_cast<size_t>(num_rows) * kernels::attention_part_floats(shape.head_dim);
}

// How the keys of a few tiles are shared out: `total` parts in all, tile after tile.
struct PartPlan {
  int64_t num_items = 0;  // tiles with their KV heads
  int64_t total = 0;
  size_t stride = 0;  // floats of a part of any tile
};

// total 0: nothing to share, for there is work enough without, or no row sees more than a part.
PartPlan plan_parts(const Pass& pass, int64_t num_tiles, uint32_t num_threads,
                    const AttentionParts& parts) {
  PartPlan plan;
  plan.num_items = num_tiles * pass.shape.num_kv_heads;
  if (num_threads == 1 || plan.num_items >= 2 * static_cast<int64_t>(num_threads)) return plan;
  int32_t max_rows = 0;
  for (int64_t item = 0; item < plan.num_items; ++item) {
    const Tile tile = find_tile(pass, item, num_tiles);
    plan.total += parts_of(pass, tile).count;
    max_rows = std::max(max_rows, tile.num_rows());
  }
  plan.stride = part_stride(pass.shape, max_rows);
  const bool fits = static_cast<size_t>(plan.total) * plan.stride <= parts.num_floats;
  if (plan.total == plan.num_items || !fits) plan.total = 0;
  return plan;
}

void run_in_parts(ThreadTeam::Worker& worker, const Pass& pass, int64_t num_tiles,
                  const PartPlan& plan, float* parts) noexcept {
  worker.for_chunks(plan.total, 1, [&](int64_t index, int64_t) {
    float* const dst = parts + static_cast<size_t>(index) * plan.stride;
    for (int64_t item = 0; item < plan.num_items; ++item) {
      const Tile tile = find_tile(pass, item, num_tiles);
      const PartRange range = parts_of(pass, tile);
      if (index < range.count) {
        const int32_t part_idx = range.first + static_cast<int32_t>(index);
        pass.kernels.part(pack_tile(pass, tile), part_idx, dst);
        return;
      }
      index -= range.count;
    }
  });
  worker.barrier();
  worker.for_chunks(plan.num_items, 1, [&](int64_t item, int64_t) {
    const float* first = parts;
    for (int64_t i = 0; i < item; ++i) {
      first +=
          static_cast<size_t>(parts_of(pass, find_tile(pass, i, num_tiles)).count) * plan.stride;
    }
    const Tile tile = find_tile(pass, item, num_tiles);
    pass.kernels.merge_parts(pack_tile(pass, tile), first, plan.stride);
    store_tile(pass, tile);
  });
}

int64_t pages_to_quantize(const KvView& kv, const SpanView& span) {
  const int32_t last_position = span.first_position + span.num_rows - 1;
  return std::max(0, kv.tiers.stored_pages(last_position) - span.first_unstored_page);
}

}  // namespace

size_t attention_scratch_bytes(const kernels::AttentionKernels& kernels,
                               const AttentionShape& shape) {
  return kernel_bytes(kernels, shape) + 2 * packed_floats(shape) * sizeof(float) +
         kMaxAttentionRows * (sizeof(float) + 3 * sizeof(int32_t));
}

size_t attention_parts_floats(const AttentionShape& shape, uint32_t num_threads,
                              int32_t context_length) {
  if (num_threads == 1) return 0;
  const size_t parts = (static_cast<size_t>(context_length) + kPartTokens - 1) / kPartTokens;
  const size_t num_kv_heads = static_cast<size_t>(shape.num_kv_heads);
  const size_t sequences = (2 * static_cast<size_t>(num_threads) + num_kv_heads - 1) / num_kv_heads;
  return sequences * num_kv_heads * parts * part_stride(shape, shape.group());
}

void store_kv_row(const kernels::ElementwiseKernels& kernels, const AttentionShape& shape,
                  const KvView& kv, int32_t layer_idx, const uint32_t* block_table,
                  int32_t position, const float* k, const float* v) noexcept {
  const uint32_t page = block_table[position / kPageTokens];
  const size_t slot = static_cast<size_t>(position % kPageTokens);
  const size_t head_dim = static_cast<size_t>(shape.head_dim);
  for (int32_t head = 0; head < shape.num_kv_heads; ++head) {
    std::byte* base = kv.pages.head(page, layer_idx, head);
    uint16_t* keys = reinterpret_cast<uint16_t*>(base);  // [head_dim, kPageTokens]
    uint16_t* values =
        reinterpret_cast<uint16_t*>(base + kv.pages.v_offset);  // [kPageTokens, head_dim]
    const float* k_head = k + static_cast<size_t>(head) * head_dim;
    const float* v_head = v + static_cast<size_t>(head) * head_dim;
    kernels.store_f16(k_head, shape.head_dim, keys + slot, kPageTokens);
    kernels.store_f16(v_head, shape.head_dim, values + slot * head_dim, 1);
  }
}

void quantize_pages(ThreadTeam::Worker& worker, const kernels::AttentionKernels& kernels,
                    const AttentionShape& shape, const BatchView& batch, const KvView& kv,
                    int32_t layer_idx) noexcept {
  if (!kv.has_store()) return;
  int64_t num_pages = 0;
  for (int32_t i = 0; i < batch.num_spans; ++i) num_pages += pages_to_quantize(kv, batch.spans[i]);
  if (num_pages == 0) return;
  worker.for_chunks(num_pages * shape.num_kv_heads, 1, [&](int64_t item, int64_t) {
    const int32_t head = static_cast<int32_t>(item % shape.num_kv_heads);
    int64_t index = item / shape.num_kv_heads;
    const SpanView* span = batch.spans;
    for (; index >= pages_to_quantize(kv, *span); ++span) index -= pages_to_quantize(kv, *span);
    const int64_t page_idx = span->first_unstored_page + index;
    const std::byte* source = kv.pages.head(span->block_table[page_idx], layer_idx, head);
    std::byte* stored = kv.store.head(span->store_table[page_idx], layer_idx, head);
    kernels.quantize_kv_page(kv.format, reinterpret_cast<const uint16_t*>(source),
                             reinterpret_cast<const uint16_t*>(source + kv.pages.v_offset),
                             shape.head_dim, stored, stored + kv.store.v_offset);
  });
  worker.barrier();
}

void run_attention(ThreadTeam::Worker& worker, const kernels::AttentionKernels& kernels,
                   const AttentionShape& shape, const BatchView& batch, const KvView& kv,
                   int32_t layer_idx, const float* q, float* dst, const AttentionParts& parts,
                   std::byte* scratch) noexcept {
  const Pass pass{kernels, shape, batch, kv, layer_idx, q, dst, carve(kernels, shape, scratch)};
  const int64_t tiles = count_tiles(batch, shape.group());
  const PartPlan plan = plan_parts(pass, tiles, worker.num_threads(), parts);
  if (plan.total > 0) return run_in_parts(worker, pass, tiles, plan, parts.data);
  worker.for_chunks(plan.num_items, 1, [&](int64_t index, int64_t) {
    const Tile tile = find_tile(pass, index, tiles);
    kernels.paged(pack_tile(pass, tile));
    store_tile(pass, tile);
  });
}

}  // namespace ruvllm::ops
