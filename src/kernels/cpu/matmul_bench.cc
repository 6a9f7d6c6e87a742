// Speed of the matrix products: matmul_bench [threads] [max x rows] [type].
// GMAC/s and GB/s of weights (best of several runs) beside the machine's plain read bandwidth.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <time.h>

#include "base/memory/buffer.h"
#include "base/system/cpu_info.h"
#include "kernels/cpu/kernel_table.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {
namespace {

constexpr size_t kWeightBytes = size_t{256} << 20;  // far beyond the last-level cache

// Processor time of the calling thread: what other processes take does not count.
double thread_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Longest processor time of the threads.
template <class Function>
double run_threads(int num_threads, Function function) {
  std::atomic<int> ready{0};
  std::vector<double> times(static_cast<size_t>(num_threads));
  std::vector<std::thread> threads;
  for (int t = 0; t < num_threads; ++t) {
    threads.emplace_back([&, t] {
      ++ready;
      while (ready.load() < num_threads) std::this_thread::yield();
      const double begin = thread_seconds();
      function(t);
      times[static_cast<size_t>(t)] = thread_seconds() - begin;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return *std::max_element(times.begin(), times.end());
}

uint64_t read_all(const std::byte* data, size_t bytes) {
  using Vector = uint64_t __attribute__((vector_size(32), aligned(1)));
  Vector sums[8] = {};
  const auto* vectors = reinterpret_cast<const Vector*>(data);
  for (size_t i = 0; i + 8 <= bytes / sizeof(Vector); i += 8) {
    for (size_t j = 0; j < 8; ++j) sums[j] += vectors[i + j];
  }
  uint64_t total = 0;
  for (const Vector& sum : sums) total += sum[0] + sum[1] + sum[2] + sum[3];
  return total;
}

double read_bandwidth(const std::byte* data, size_t bytes, int num_threads, int repeats) {
  double best = 1e9;
  std::atomic<uint64_t> sink{0};
  for (int i = 0; i < repeats; ++i) {
    const size_t part = bytes / static_cast<size_t>(num_threads) & ~size_t{63};
    best = std::min(best, run_threads(num_threads, [&](int t) {
                      sink += read_all(data + static_cast<size_t>(t) * part, part);
                    }));
  }
  return static_cast<double>(bytes) / best * 1e-9;
}

struct Operands {
  std::vector<int8_t> q8;
  std::vector<int16_t> q16;
  std::vector<float> f32, scales;
  std::vector<int16_t> sums16, sums32;
};

// Random values of x; sums are consistent, so that nothing takes an unusual path.
Operands make_x(size_t count) {
  Operands x;
  x.q8.resize(count);
  x.q16.resize(count);
  x.f32.resize(count);
  x.scales.assign(count / 32 + 1, 0.01f);
  x.sums16.resize(count / 16 + 1);
  x.sums32.resize(count / 32 + 1);
  uint32_t state = 1;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    x.q8[i] = static_cast<int8_t>(static_cast<int>(state >> 24) % 255 - 127);
    x.q16[i] = static_cast<int16_t>(x.q8[i] * 257);
    x.f32[i] = static_cast<float>(x.q8[i]) * 0.01f;
    x.sums16[i / 16] = static_cast<int16_t>(x.sums16[i / 16] + x.q8[i]);
    x.sums32[i / 32] = static_cast<int16_t>(x.sums32[i / 32] + x.q8[i]);
  }
  return x;
}

// Weight rows in chunks from a counter, as a thread team hands them out.
double time_product(const MatmulKernel& kernel, MatmulFn function, const MatmulArgs& all,
                    int32_t chunk_rows, int num_threads, int repeats, int passes) {
  std::vector<std::unique_ptr<std::byte[]>> scratch;
  const size_t bytes = kernel.scratch_bytes(all.num_cols);
  for (int t = 0; t < num_threads; ++t)
    scratch.push_back(std::make_unique<std::byte[]>(bytes + 64));
  const int64_t num_chunks = (all.num_weight_rows + chunk_rows - 1) / chunk_rows;
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    std::atomic<int64_t> next{0};
    best = std::min(
        best, run_threads(num_threads, [&](int t) {
          MatmulArgs args = all;
          const auto address = reinterpret_cast<uintptr_t>(scratch[static_cast<size_t>(t)].get());
          args.scratch = reinterpret_cast<std::byte*>((address + 63) & ~uintptr_t{63});
          for (;;) {
            const int64_t chunk = next.fetch_add(1);
            if (chunk >= num_chunks * passes) return;
            const auto row = static_cast<int32_t>(chunk % num_chunks) * chunk_rows;
            if (row >= all.num_weight_rows) return;
            args.weights = all.weights + static_cast<size_t>(row) * all.weight_row_stride;
            args.num_weight_rows = std::min(chunk_rows, all.num_weight_rows - row);
            args.dst = all.dst + row;
            function(args);
          }
        }));
  }
  return best / passes;
}

void bench_type(DType dtype, const KernelTable& table, std::span<const std::byte> weights,
                int num_threads, int32_t max_x_rows) {
  const MatmulKernel& kernel = table.matmul[static_cast<size_t>(dtype)];
  const char* forced = std::getenv("MATMUL_BENCH_COLS");
  const int32_t num_cols = forced != nullptr                                  ? std::atoi(forced)
                           : kernel.activation == ActivationKind::kQ8Group256 ? 1536
                                                                              : 896;
  const size_t stride = row_bytes(dtype, static_cast<uint64_t>(num_cols)).value();
  const auto max_rows = static_cast<int32_t>(weights.size() / stride / 64 * 64);
  for (int32_t num_x : {1, 2, 3, 4, 5, 6, 8, 16, 64, 512}) {
    if (num_x > max_x_rows) break;
    const int32_t num_rows = num_x > 16 ? std::min(8960, max_rows) : max_rows;
    const Operands x = make_x(static_cast<size_t>(num_cols) * static_cast<size_t>(num_x));
    std::vector<float> dst(static_cast<size_t>(num_rows) * static_cast<size_t>(num_x));
    const MatmulArgs args = {.weights = weights.data(),
                             .weight_row_stride = stride,
                             .num_weight_rows = num_rows,
                             .num_cols = num_cols,
                             .x = {x.f32.data(), x.q8.data(), x.q16.data(), x.scales.data(),
                                   x.sums16.data(), x.sums32.data()},
                             .num_x_rows = num_x,
                             .dst = dst.data(),
                             .dst_stride = static_cast<size_t>(num_rows),
                             .scratch = nullptr};
    std::printf("%-10s M=%-4d", kernel.name, num_x);
    const struct {
      const char* name;
      MatmulFn function;
      int32_t chunk_rows;
    } ways[] = {{"gemv", num_x > 16 ? nullptr : kernel.gemv, 128},
                {"gemm", kernel.gemm, kernel.gemm_chunk_rows},
                {"packed", kernel.packed, 128}};  // any bytes are packed weights
    for (const auto& way : ways) {
      if (way.function == nullptr) continue;
      const double time = time_product(kernel, way.function, args, way.chunk_rows, num_threads,
                                       num_x > 16 ? 3 : 9, weights.size() < kWeightBytes ? 256 : 1);
      const double weight_count = static_cast<double>(num_rows) * num_cols;
      std::printf("  %s %6.2f GB/s %7.1f GMAC/s", way.name,
                  static_cast<double>(num_rows) * static_cast<double>(stride) / time * 1e-9,
                  weight_count * num_x / time * 1e-9);
    }
    if (num_x == 1) {
      std::printf("  (plain read %.2f GB/s)",
                  read_bandwidth(weights.data(), weights.size(), num_threads, 7));
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

// The best that the machine has, or those up to RUVLLM_CPU_ISA.
KernelTable best_kernels() {
  struct Isa {
    const char* name;
    bool available;
    void (*overlay)(KernelTable& table);
  };
  [[maybe_unused]] const CpuFeatures& features = cpu_features();
  const Isa isas[] = {
      {"generic", true, fill_generic},
#if defined(__x86_64__)
      {"avx2", features.avx2, overlay_avx2},
      {"avx_vnni", features.avx_vnni, overlay_avx_vnni},
      {"avx512", features.avx512_vnni, overlay_avx512},
      {"amx", features.avx512_vnni && features.amx_int8, overlay_amx},
#elif defined(__aarch64__)
      {"neon", true, overlay_neon},
      {"neon_dotprod", features.neon_dotprod, overlay_neon_dotprod},
      {"neon_i8mm", features.neon_dotprod && features.neon_i8mm, overlay_neon_i8mm},
#endif
  };
  const char* forced = std::getenv("RUVLLM_CPU_ISA");
  KernelTable table;
  for (const Isa& isa : isas) {
    if (isa.available) isa.overlay(table);
    if (forced != nullptr && std::string_view(forced) == isa.name) break;
  }
  return table;
}

}  // namespace
}  // namespace ruvllm::kernels

int main(int argc, char** argv) {
  using namespace ruvllm;
  using namespace ruvllm::kernels;
  const int num_threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const int max_x_rows = argc > 2 ? std::atoi(argv[2]) : 512;
  const std::string_view only = argc > 3 ? argv[3] : "";
  const KernelTable table = best_kernels();
  const char* kib = std::getenv("MATMUL_BENCH_KIB");  // small: compute without memory
  // As packed weights are kept; files are mapped in small pages.
  const auto memory =
      *Buffer::allocate(kib == nullptr ? kWeightBytes : static_cast<size_t>(std::atoi(kib)) << 10,
                        HugePages::kPrefer, "weights");
  const std::span<std::byte> weights(memory.data(), memory.size());
  uint32_t state = 1;
  for (std::byte& b : weights) {
    state = state * 1664525u + 1013904223u;
    b = static_cast<std::byte>((state >> 24) & 0x3f);  // no infinite or NaN scales
  }
  for (size_t i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!only.empty() && only != dtype_info(dtype).name) continue;
    if (dtype == DType::kMXFP4) {  // exponents that lead to no subnormal floats, which are slow
      std::ranges::fill(weights, std::byte{120});
    }
    bench_type(dtype, table, weights, num_threads, max_x_rows);
  }
  return 0;
}
