// Times paged attention against the limits of the core it runs on, measured in the same process:
// the rate of fp32 multiply-adds and the bandwidth of plain reads. Pass an ISA name to time only
// it, and the word "stores" for nothing but pages of the store beside binary16 pages.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include <time.h>

#include "base/system/cpu_info.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/generic/attention.h"
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/cpu/avx2/attention.h"
#include "kernels/cpu/avx512/attention.h"
#endif

namespace ruvllm::kernels {
namespace {

// CPU time of this thread: other work on the machine does not count.
double seconds_now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Least seconds of `repeats` calls.
template <class Call>
double best_seconds(int repeats, const Call& call) {
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    const double start = seconds_now();
    call();
    best = std::min(best, seconds_now() - start);
  }
  return best;
}

volatile float g_sink;

#if defined(__x86_64__)
// Multiply-adds a second of one core, from twelve independent chains in registers.
__attribute__((target("avx2,fma"))) double peak_multiply_adds() {
  constexpr int kSteps = 1'000'000;
  constexpr int kChains = 12;
  const double time = best_seconds(15, [&]() __attribute__((target("avx2,fma"))) {
    __m256 sums[kChains];
    for (int i = 0; i < kChains; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
    __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
    for (int step = 0; step < kSteps; ++step) {
      for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, factor, term);
      asm volatile("" : "+x"(factor), "+x"(term));
    }
    for (int i = 1; i < kChains; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
    g_sink = _mm256_cvtss_f32(sums[0]);
  });
  return kSteps * static_cast<double>(kChains) * 8 / time;
}
#endif

double read_bandwidth(const std::vector<std::byte>& buffer) {
  const double time = best_seconds(9, [&] {
    uint64_t sums[8] = {};
    for (size_t i = 0; i + 64 <= buffer.size(); i += 64) {
      uint64_t words[8];
      std::memcpy(words, buffer.data() + i, 64);
      for (int lane = 0; lane < 8; ++lane) sums[lane] += words[lane];
    }
    for (int lane = 1; lane < 8; ++lane) sums[0] ^= sums[lane];
    g_sink = static_cast<float>(sums[0]);
  });
  return static_cast<double>(buffer.size()) / time;
}

struct Problem {
  int32_t num_rows, head_dim, num_keys;
  int32_t first_key = 0;
  KvStoreFormat format = KvStoreFormat::kF16;  // of the pool; others begin at kSinkTokens
};

struct Rates {
  double multiply_adds, bytes;  // a second
  double seconds;               // of one head
};

// Fills the pool with quantized pages: what random bits would make of scales is NaN.
std::vector<std::byte> stored_pages(const AttentionKernels& kernels, KvStoreFormat format,
                                    size_t head_dim, const std::vector<std::byte>& pool) {
  const size_t k_bytes = stored_keys_bytes(format, head_dim);
  const size_t page_bytes = k_bytes + stored_values_bytes(format, head_dim);
  std::vector<std::byte> stored(pool.size()), page(page_bytes);
  const uint16_t* const numbers = reinterpret_cast<const uint16_t*>(pool.data());
  kernels.quantize_kv_page(format, numbers, numbers, static_cast<int32_t>(head_dim), page.data(),
                           page.data() + k_bytes);
  for (size_t i = 0; i + page_bytes <= stored.size(); i += page_bytes) {
    std::memcpy(stored.data() + i, page.data(), page_bytes);
  }
  return stored;
}

// As many pages as fit in `pool`, each of several heads like a page of all layers in the engine, so
// that a head's pages lie apart. With a pool beyond the caches every call reads from memory.
Rates measure(const AttentionKernels& kernels, const Problem& problem,
              const std::vector<std::byte>& pool, int repeats = 9) {
  constexpr size_t kMaxHeads = 24;  // of a page
  const size_t dim = static_cast<size_t>(problem.head_dim);
  const size_t rows = static_cast<size_t>(problem.num_rows);
  const size_t k_bytes = stored_keys_bytes(problem.format, dim);
  const size_t head_bytes = k_bytes + stored_values_bytes(problem.format, dim);
  const size_t pages = static_cast<size_t>(problem.num_keys / kPageTokens);
  const size_t fitting_heads = std::max<size_t>(1, pool.size() / (head_bytes * pages));
  const size_t heads_in_page = std::min(kMaxHeads, fitting_heads);
  const size_t num_sequences = fitting_heads / heads_in_page;
  const size_t num_heads = num_sequences * heads_in_page;
  std::vector<uint32_t> block_table(pages * num_sequences);
  std::iota(block_table.begin(), block_table.end(), 0u);
  std::shuffle(block_table.begin(), block_table.end(), std::mt19937(1));
  std::vector<float> q(rows * dim, 0.01f), dst(rows * dim);
  std::vector<int32_t> visible(rows, problem.num_keys);
  const size_t scratch_bytes =
      (kernels.standard_scratch_bytes(problem.head_dim, problem.num_keys) + 63) / 64 * 64;
  std::byte* const scratch = static_cast<std::byte*>(std::aligned_alloc(64, scratch_bytes));

  AttentionArgs args;
  args.q = q.data();
  args.q_stride = args.dst_stride = dim;
  args.num_rows = problem.num_rows;
  args.num_visible = visible.data();
  args.head_dim = problem.head_dim;
  args.scale = 0.1f;
  args.dst = dst.data();
  args.scratch = scratch;
  const std::vector<int32_t> first(rows, problem.first_key);
  args.first_visible = first.data();
  if (problem.format != KvStoreFormat::kF16) args.store_end = visible.data();
  const double time = best_seconds(repeats, [&] {
    for (size_t head = 0; head < num_heads; ++head) {
      const size_t offset = head % heads_in_page * head_bytes, stride = heads_in_page * head_bytes;
      const uint32_t* const table = block_table.data() + head / heads_in_page * pages;
      args.kv = {pool.data(), stride, offset, offset + k_bytes, table};
      args.stored = {pool.data(), stride, offset, offset + k_bytes, table, problem.format};
      kernels.paged(args);
    }
  });
  g_sink = dst[0];
  std::free(scratch);
  const double heads = static_cast<double>(num_heads);
  const double keys = static_cast<double>(problem.num_keys);
  return {2.0 * static_cast<double>(rows * dim) * keys * heads / time,
          static_cast<double>(head_bytes * pages) * heads / time, time / heads};
}

// From how many keys on flash attention is faster than standard attention.
void compare_with_standard(const AttentionKernels& kernels, const std::vector<std::byte>& pool) {
  AttentionKernels standard = kernels;
  standard.paged = kernels.standard;
  std::printf("%s: standard attention over flash attention, by rows, and keys across\n%6s",
              kernels.name, "");
  const int32_t keys[] = {32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
  for (const int32_t num_keys : keys) std::printf(" %6d", num_keys);
  for (const int32_t rows : {1, 4, 16, 64}) {
    std::printf("\n%6d", rows);
    for (const int32_t num_keys : keys) {
      const Problem problem = {rows, 128, num_keys};
      std::printf(" %6.2f", measure(standard, problem, pool).multiply_adds /
                                measure(kernels, problem, pool).multiply_adds);
    }
  }
  std::printf("\n");
}

// Attention over pages of the store beside binary16 pages, in turns; time of the same keys.
void compare_stores(const AttentionKernels& kernels, const std::vector<std::byte>& pool) {
  constexpr KvStoreFormat kFormats[] = {KvStoreFormat::kF16,  KvStoreFormat::kQ8,
                                        KvStoreFormat::kK8V4, KvStoreFormat::kQ4,
                                        KvStoreFormat::kQ3,   KvStoreFormat::kQ2};
  std::printf("%s: microseconds a head, from memory\n%4s %8s %6s %8s %8s %8s %8s %8s %8s\n",
              kernels.name, "rows", "head_dim", "keys", "f16", "q8", "k8v4", "q4", "q3", "q2");
  for (const int32_t head_dim : {64, 128}) {
    std::vector<std::vector<std::byte>> pools;
    for (const KvStoreFormat format : kFormats) {
      pools.push_back(format == KvStoreFormat::kF16
                          ? pool
                          : stored_pages(kernels, format, static_cast<size_t>(head_dim), pool));
    }
    for (const auto& [rows, num_keys] : {std::pair{1, 4096}, std::pair{4, 4096}, std::pair{7, 4096},
                                         std::pair{7, 8192}, std::pair{64, 4096}}) {
      double best[std::size(kFormats)];
      std::fill_n(best, std::size(kFormats), 1e30);
      for (int turn = 0; turn < 4; ++turn) {
        for (size_t i = 0; i < std::size(kFormats); ++i) {
          const Problem problem = {rows, head_dim, num_keys, kSinkTokens, kFormats[i]};
          best[i] = std::min(best[i], measure(kernels, problem, pools[i], 2).seconds);
        }
      }
      std::printf("%4d %8d %6d", rows, head_dim, num_keys);
      for (const double seconds : best) std::printf(" %8.1f", seconds * 1e6);
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}

int run(const char* only, bool only_stores) {
  std::vector<std::byte> large(size_t{128} << 20);
  for (size_t i = 0; i < large.size(); i += 2) {
    const uint16_t bits = static_cast<uint16_t>(0x2000u + (i * 2654435761u >> 20) % 0x1000u);
    std::memcpy(large.data() + i, &bits, sizeof(bits));
  }
  const std::vector<std::byte> small(large.begin(), large.begin() + (1 << 20) + (1 << 19));
  const std::vector<std::byte> medium(large.begin(), large.begin() + (64 << 20));
  double peak = 0.0;
#if defined(__x86_64__)
  if (cpu_features().avx2) peak = peak_multiply_adds();
#endif
  std::printf("peak %.1f GMAC/s\n", peak * 1e-9);

  std::vector<AttentionKernels> implementations(1);
  fill_generic_attention(implementations[0]);
#if defined(__x86_64__)
  if (cpu_features().avx2) overlay_avx2_attention(implementations.emplace_back());
  if (cpu_features().avx512) overlay_avx512_attention(implementations.emplace_back());
#endif
  const Problem problems[] = {{1, 64, 4096},   {1, 128, 4096}, {2, 64, 4096},  {4, 64, 8192},
                              {4, 128, 4096},  {6, 128, 8192}, {7, 64, 4096},  {8, 64, 8192},
                              {16, 128, 4096}, {8, 256, 2048}, {64, 64, 2048}, {64, 128, 2048},
                              {64, 256, 2048}};
  std::printf("%-9s %5s %9s %6s   %-26s   %s\n", "", "rows", "head_dim", "keys", "in the caches",
              "from memory");
  for (const AttentionKernels& kernels : implementations) {
    if (only != nullptr && std::strcmp(only, kernels.name) != 0) continue;
    compare_stores(kernels, medium);
    if (only_stores) continue;
    for (const Problem& problem : problems) {
      std::printf("%-9s %5d %9d %6d", kernels.name, problem.num_rows, problem.head_dim,
                  problem.num_keys);
      const Rates cached = measure(kernels, problem, small);
      std::printf("   %6.1f GMAC/s (%3.0f %% peak)", cached.multiply_adds * 1e-9,
                  peak > 0.0 ? 100.0 * cached.multiply_adds / peak : 0.0);
      const bool is_decode = problem.num_rows <= 16;
      if (is_decode) {
        const double bandwidth = read_bandwidth(large);
        const Rates rates = measure(kernels, problem, large);
        std::printf("   %6.1f GB/s of %.1f (%3.0f %%)", rates.bytes * 1e-9, bandwidth * 1e-9,
                    100.0 * rates.bytes / bandwidth);
      }
      std::printf("\n");
    }
    compare_with_standard(kernels, small);
  }
  return 0;
}

}  // namespace
}  // namespace ruvllm::kernels

int main(int argc, char** argv) {
  return ruvllm::kernels::run(argc > 1 ? argv[1] : nullptr, argc > 2);
}
