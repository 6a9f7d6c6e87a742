// Attention as the engine runs it (ops::run_attention over a paged cache), in the shapes of three
// models, and the two kernels beside each other.
//
//   attention/decode/SHAPE/DEPTH            one new token that sees DEPTH keys
//   attention/decode-STORE/SHAPE/DEPTH      the same, keys behind the last 256 quantized
//   attention/prefill/SHAPE/ROWS/DEPTH      ROWS new tokens behind DEPTH keys
//   attention/flash/ROWS/KEYS               one call of the flash kernel, one thread, in the caches
//   attention/standard/ROWS/KEYS            the same with all scores kept: where do they cross?
//   attention/store-STORE/ROWS/DIM/KEYS     the flash kernel, one thread, pages from memory in any
//                                           order, all but the first quantized (f16: none)
//
// Layers follow each other, so that what a decode reads was in no cache if the model's would not
// be.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/models/synth/shapes.h"
#include "base/memory/buffer.h"
#include "cache/kv_cache.h"
#include "kernels/cpu/attention.h"
#include "ops/attention.h"
#include "ops/views.h"
#include "support/harness.h"

namespace ruvllm::bench {
namespace {

using kernels::KvStoreFormat;

constexpr std::pair<const char*, KvStoreFormat> kStores[] = {
    {"", KvStoreFormat::kF16}, {"-q8", KvStoreFormat::kQ8}, {"-q4", KvStoreFormat::kQ4}};
constexpr int32_t kMaxDepth = 8192;
constexpr int32_t kMaxRows = 512;

// Random halves from 2^-7 to 2^-4.
void fill_halves(std::span<std::byte> bytes) {
  uint32_t state = 1;
  for (size_t i = 0; i + 2 <= bytes.size(); i += 2) {
    state = state * 1664525u + 1013904223u;
    const uint16_t bits = static_cast<uint16_t>(0x2000u + (state >> 20));
    std::memcpy(bytes.data() + i, &bits, sizeof(bits));
  }
}

// The cache of one sequence of a model, with its pages shuffled; stored pages have the same order.
struct Cache {
  Cache(const api::SynthShape& model, int32_t num_tokens, KvStoreFormat store)
      : num_layers(static_cast<int32_t>(model.num_layers)),
        shape{.num_heads = static_cast<int32_t>(model.num_heads),
              .num_kv_heads = static_cast<int32_t>(model.num_kv_heads),
              .head_dim = static_cast<int32_t>(model.head_dim),
              .scale = 0.1f},
        block_table(cache::pages_for_tokens(static_cast<uint64_t>(num_tokens))),
        pages(
            cache::KvCache::create({.shape = {num_layers, shape.num_kv_heads, shape.head_dim},
                                    .num_pages = static_cast<uint32_t>(block_table.size()),
                                    .format = store,
                                    .tiers = {.tail_tokens = 256, .batch_tokens = 64},
                                    .num_stored_pages = static_cast<uint32_t>(block_table.size())})
                .value()) {
    std::iota(block_table.begin(), block_table.end(), 0u);
    std::ranges::shuffle(block_table, std::mt19937(1));
    fill_halves({pages.pages().data(), pages.pages().bytes_reserved()});
    if (pages.has_store()) fill_halves({pages.store().data(), pages.store().bytes_reserved()});
  }

  int32_t num_layers;
  ops::AttentionShape shape;
  std::vector<uint32_t> block_table;
  cache::KvCache pages;
};

// Of the model that is measured now: caches are large, so there is one at a time.
const Cache& cache_of(const api::SynthShape& model, int32_t num_tokens, KvStoreFormat store) {
  static std::unique_ptr<Cache> cache;
  static std::string_view name;
  static int32_t tokens = 0;
  static KvStoreFormat format = KvStoreFormat::kF16;
  if (name != model.name || tokens < num_tokens || format != store) {
    cache.reset();
    cache = std::make_unique<Cache>(model, num_tokens, store);
    name = model.name;
    tokens = num_tokens;
    format = store;
  }
  return *cache;
}

void run_attention(benchmark::State& state, const Setup& setup, const api::SynthShape& model,
                   int32_t num_rows, int32_t depth, KvStoreFormat store) {
  const Cache& cache = cache_of(model, setup.tiny ? 512 : kMaxDepth + kMaxRows, store);
  const ops::AttentionShape& shape = cache.shape;
  const kernels::AttentionKernels& kernels = setup.device->kernels().attention;
  const size_t row_floats = static_cast<size_t>(shape.num_heads * shape.head_dim);
  std::vector<float> q(row_floats * static_cast<size_t>(num_rows), 0.01f), dst(q.size());
  std::vector<int32_t> positions(static_cast<size_t>(num_rows)), row_spans(positions.size(), 0);
  std::iota(positions.begin(), positions.end(), depth);
  const ops::SpanView span{
      0, num_rows, depth, cache.block_table.data(), nullptr, cache.block_table.data()};
  const ops::BatchView batch{num_rows, nullptr, positions.data(), 1, &span, row_spans.data()};
  const size_t scratch_bytes = ops::attention_scratch_bytes(kernels, shape);
  std::vector<Buffer> scratch;
  for (uint32_t i = 0; i < setup.num_threads; ++i) {
    scratch.push_back(Buffer::allocate(scratch_bytes, HugePages::kNo, "scratch").value());
  }
  std::vector<float> room(ops::attention_parts_floats(shape, setup.num_threads, depth + num_rows));
  const ops::AttentionParts parts{room.data(), room.size()};
  int32_t layer = 0;
  for (auto _ : state) {
    state.SetIterationTime(team_seconds(setup.device->team(), [&](ThreadTeam::Worker& worker) {
      ops::run_attention(worker, kernels, shape, batch, cache.pages.view(), layer, q.data(),
                         dst.data(), parts, scratch[worker.index()].data());
    }));
    layer = (layer + 1) % cache.num_layers;
  }
  double keys = 0.0;  // that all rows see
  for (int32_t i = 0; i < num_rows; ++i) keys += depth + i + 1;
  const double head_floats = static_cast<double>(shape.head_dim);
  const cache::PageShape page{1, shape.num_kv_heads, shape.head_dim};
  const double stored = cache.pages.has_store() ? cache.pages.tiers().stored_pages(depth) - 1 : 0;
  const double in_halves = (depth + 1.0) / kernels::kPageTokens - stored;
  report_work(state, setup,
              {.multiply_adds = 2.0 * keys * shape.num_heads * head_floats,
               .bytes = num_rows > 1 ? 0.0
                                     : in_halves * static_cast<double>(page.bytes()) +
                                           stored * static_cast<double>(page.stored_bytes(store))});
  state.SetLabel(kernels.name);
}

// Rows of one KV head that all see `num_keys` keys: arguments but for the cache.
struct HeadRows {
  HeadRows(int32_t num_rows, int32_t head_dim, int32_t num_keys, size_t scratch_bytes)
      : q(static_cast<size_t>(num_rows) * static_cast<size_t>(head_dim), 0.01f),
        dst(q.size()),
        visible(static_cast<size_t>(num_rows), num_keys),
        scratch(Buffer::allocate(scratch_bytes, HugePages::kNo, "scratch").value()) {
    args.q = q.data();
    args.q_stride = args.dst_stride = static_cast<size_t>(head_dim);
    args.num_rows = num_rows;
    args.num_visible = visible.data();
    args.head_dim = head_dim;
    args.scale = 0.1f;
    args.dst = dst.data();
    args.scratch = scratch.data();
  }
  HeadRows(const HeadRows&) = delete;  // args points into the rest
  HeadRows& operator=(const HeadRows&) = delete;

  std::vector<float> q, dst;
  std::vector<int32_t> visible;
  Buffer scratch;
  kernels::AttentionArgs args;
};

// One KV head of 128 dimensions; pages in the caches and in order.
void run_kernel(benchmark::State& state, const Setup& setup, bool standard, int32_t num_rows,
                int32_t num_keys) {
  constexpr int32_t kHeadDim = 128;
  constexpr size_t kHalfBytes = size_t{kHeadDim} * kernels::kPageTokens * sizeof(uint16_t);
  const kernels::AttentionKernels& kernels = setup.device->kernels().attention;
  const size_t num_pages = static_cast<size_t>(num_keys / kernels::kPageTokens);
  const Buffer pool = Buffer::allocate(2 * kHalfBytes * num_pages, HugePages::kNo, "keys").value();
  fill_halves({pool.data(), pool.size()});
  std::vector<uint32_t> block_table(num_pages);
  std::iota(block_table.begin(), block_table.end(), 0u);
  const size_t scratch_bytes = standard ? kernels.standard_scratch_bytes(kHeadDim, num_keys)
                                        : kernels.scratch_bytes(kHeadDim);
  HeadRows rows(num_rows, kHeadDim, num_keys, scratch_bytes);
  rows.args.kv = {pool.data(), 2 * kHalfBytes, 0, kHalfBytes, block_table.data()};
  for (auto _ : state) {
    const uint64_t begin = thread_cpu_ns();
    (standard ? kernels.standard : kernels.paged)(rows.args);
    state.SetIterationTime(static_cast<double>(thread_cpu_ns() - begin) / 1e9);
  }
  report_work(state, setup,
              {.multiply_adds = 2.0 * num_rows * kHeadDim * static_cast<double>(num_keys),
               .num_threads = 1});
  state.SetLabel(kernels.name);
}

constexpr std::pair<const char*, KvStoreFormat> kAllStores[] = {
    {"f16", KvStoreFormat::kF16}, {"q8", KvStoreFormat::kQ8}, {"k8v4", KvStoreFormat::kK8V4},
    {"q4", KvStoreFormat::kQ4},   {"q3", KvStoreFormat::kQ3}, {"q2", KvStoreFormat::kQ2}};

// Iterations take turns with enough sequences that none is in the caches any more.
void run_store(benchmark::State& state, const Setup& setup, KvStoreFormat format, int32_t num_rows,
               int32_t head_dim, int32_t num_keys) {
  const kernels::AttentionKernels& kernels = setup.device->kernels().attention;
  const size_t dim = static_cast<size_t>(head_dim);
  const size_t k_bytes = kernels::stored_keys_bytes(format, dim);
  const size_t page_bytes = k_bytes + kernels::stored_values_bytes(format, dim);
  const size_t num_pages = static_cast<size_t>(num_keys / kernels::kPageTokens);
  const size_t num_sequences =
      setup.tiny ? 2 : std::max<size_t>(2, (96u << 20) / (page_bytes * num_pages));
  const Buffer pool =
      Buffer::allocate(page_bytes * num_pages * num_sequences, HugePages::kPrefer, "pages").value();
  fill_halves({pool.data(), pool.size()});
  std::vector<uint32_t> block_table(num_pages * num_sequences);
  std::iota(block_table.begin(), block_table.end(), 0u);
  std::ranges::shuffle(block_table, std::mt19937(1));
  const Buffer first_page =
      Buffer::allocate(4 * dim * kernels::kPageTokens, HugePages::kNo, "first page").value();
  fill_halves({first_page.data(), first_page.size()});
  const uint32_t first_table = 0;
  HeadRows rows(num_rows, head_dim, num_keys, kernels.scratch_bytes(head_dim));
  kernels::AttentionArgs& args = rows.args;
  const bool in_store = format != KvStoreFormat::kF16;
  if (in_store) {
    args.kv = {first_page.data(), 4 * dim * kernels::kPageTokens, 0, 2 * dim * kernels::kPageTokens,
               &first_table};
    args.stored = {pool.data(), page_bytes, 0, k_bytes, nullptr, format};
    args.store_end = rows.visible.data();
  } else {
    args.kv = {pool.data(), page_bytes, 0, k_bytes, nullptr};
  }
  size_t sequence = 0;
  for (auto _ : state) {
    (in_store ? args.stored.block_table : args.kv.block_table) =
        block_table.data() + sequence * num_pages;
    const uint64_t begin = thread_cpu_ns();
    kernels.paged(args);
    state.SetIterationTime(static_cast<double>(thread_cpu_ns() - begin) / 1e9);
    sequence = (sequence + 1) % num_sequences;
  }
  report_work(state, setup,
              {.multiply_adds = 2.0 * num_rows * head_dim * static_cast<double>(num_keys),
               .bytes = static_cast<double>(page_bytes * num_pages),
               .num_threads = 1});
  state.SetLabel(kernels.name);
}

void add_stores(const Setup& setup) {
  const auto rows = setup.tiny ? std::vector<int32_t>{3} : std::vector<int32_t>{1, 2, 4, 7, 8, 64};
  const auto keys = setup.tiny ? std::vector<int32_t>{64} : std::vector<int32_t>{4096, kMaxDepth};
  for (const int32_t num_rows : rows) {
    for (const int32_t head_dim : {64, 128}) {
      for (const int32_t num_keys : keys) {
        for (const auto& [name, format] : kAllStores) {
          add_benchmark(
              fmt::format("attention/store-{}/{}/{}/{}", name, num_rows, head_dim, num_keys),
              [&setup, store = format, num_rows, head_dim, num_keys](benchmark::State& state) {
                run_store(state, setup, store, num_rows, head_dim, num_keys);
              });
        }
      }
    }
  }
}

void add_model(const Setup& setup, std::string_view name) {
  const api::SynthShape& model = **api::find_synth_shape(name);
  const auto depths = setup.tiny ? std::vector<int32_t>{100, 500}
                                 : std::vector<int32_t>{256, 512, 1024, 2048, 4096, kMaxDepth};
  for (const auto& [suffix, format] : kStores) {
    for (const int32_t depth : depths) {
      add_benchmark(fmt::format("attention/decode{}/{}/{}", suffix, name, depth),
                    [&setup, &model, depth, store = format](benchmark::State& state) {
                      run_attention(state, setup, model, 1, depth - 1, store);
                    });
    }
  }
  const int32_t rows = setup.tiny ? 40 : kMaxRows;
  for (const int32_t depth : {0, setup.tiny ? 64 : kMaxDepth - kMaxRows}) {
    add_benchmark(fmt::format("attention/prefill/{}/{}/{}", name, rows, depth),
                  [&setup, &model, rows, depth](benchmark::State& state) {
                    run_attention(state, setup, model, rows, depth, KvStoreFormat::kF16);
                  });
  }
}

void add(const Setup& setup) {
  if (setup.tiny) {
    add_model(setup, "demo");
  } else {
    for (const auto* name : {"qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b"}) add_model(setup, name);
  }
  add_stores(setup);
  const auto keys = setup.tiny
                        ? std::vector<int32_t>{64}
                        : std::vector<int32_t>{32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
  for (const int32_t num_rows : {1, 4, 16, 64}) {
    for (const int32_t num_keys : keys) {
      for (const bool standard : {false, true}) {
        add_benchmark(
            fmt::format("attention/{}/{}/{}", standard ? "standard" : "flash", num_rows, num_keys),
            [&setup, standard, num_rows, num_keys](benchmark::State& state) {
              run_kernel(state, setup, standard, num_rows, num_keys);
            });
      }
    }
  }
}

}  // namespace
}  // namespace ruvllm::bench

int main(int argc, char** argv) {
  return ruvllm::bench::run_benchmarks(argc, argv, ruvllm::bench::add);
}
