#include "support/peaks.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "api/engine/bandwidth.h"
#include "base/system/clock.h"
#include "base/system/cpu_info.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace ruvllm::bench {
namespace {

// Chains enough to hide the latency of two instructions a cycle.
constexpr int kChains = 12;
constexpr int64_t kSteps = 200'000;
constexpr int kRepeats = 7;

// Runs `steps` steps of kChains instructions each.
using Loop = void (*)(int64_t steps);
struct Loops {
  Loop int8;
  int int8_lanes;  // multiply-adds of one instruction
  Loop floats;
  int float_lanes;
};

// The asm statements hide values from the optimizer: it may neither drop nor share the products.

using FloatVector = float __attribute__((vector_size(16)));
using ShortVector = int16_t __attribute__((vector_size(16)));

void portable_floats(int64_t steps) {
  FloatVector sums[kChains] = {}, x = {1, 1, 1, 1}, y = {2, 2, 2, 2};
  for (int64_t step = 0; step < steps; ++step) {
    for (FloatVector& sum : sums) {
      asm volatile("" : "+m"(x));
      sum += x * y;
    }
  }
  for (const FloatVector& sum : sums) asm volatile("" ::"m"(sum));
}

void portable_integers(int64_t steps) {
  ShortVector sums[kChains] = {}, x = {1, 2, 3, 4, 5, 6, 7, 8}, y = {3, 3, 3, 3, 3, 3, 3, 3};
  for (int64_t step = 0; step < steps; ++step) {
    for (ShortVector& sum : sums) {
      asm volatile("" : "+m"(x));
      sum += x * y;
    }
  }
  for (const ShortVector& sum : sums) asm volatile("" ::"m"(sum));
}

#if defined(__x86_64__)
#define RUVLLM_TARGET(features) __attribute__((target(features)))

RUVLLM_TARGET("avx2,fma") void avx2_floats(int64_t steps) {
  __m256 sums[kChains], x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(0.25f);
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  for (int64_t step = 0; step < steps; ++step) {
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(x, y, sum);
    asm volatile("" : "+x"(x), "+x"(y));
  }
  for (const __m256& sum : sums) asm volatile("" ::"x"(sum));
}

RUVLLM_TARGET("avx2,fma") void avx2_int8(int64_t steps) {
  __m256i sums[kChains], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (int64_t step = 0; step < steps; ++step) {
    for (__m256i& sum : sums) {
      asm volatile("" : "+x"(x));
      sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(x, y));
    }
  }
  for (const __m256i& sum : sums) asm volatile("" ::"x"(sum));
}

RUVLLM_TARGET("avx2,avxvnni") void avx_vnni_int8(int64_t steps) {
  __m256i sums[kChains], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (int64_t step = 0; step < steps; ++step) {
    for (__m256i& sum : sums) sum = _mm256_dpbusd_avx_epi32(sum, x, y);
    asm volatile("" : "+x"(x), "+x"(y));
  }
  for (const __m256i& sum : sums) asm volatile("" ::"x"(sum));
}

RUVLLM_TARGET("avx512f") void avx512_floats(int64_t steps) {
  __m512 sums[kChains], x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(0.25f);
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (int64_t step = 0; step < steps; ++step) {
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(x, y, sum);
    asm volatile("" : "+v"(x), "+v"(y));
  }
  for (const __m512& sum : sums) asm volatile("" ::"v"(sum));
}

RUVLLM_TARGET("avx512f,avx512vnni") void avx512_int8(int64_t steps) {
  __m512i sums[kChains], x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (int64_t step = 0; step < steps; ++step) {
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, x, y);
    asm volatile("" : "+v"(x), "+v"(y));
  }
  for (const __m512i& sum : sums) asm volatile("" ::"v"(sum));
}

Loops loops_of(std::string_view isa) {
  const CpuFeatures& features = cpu_features();
  if (isa == "generic") return {portable_integers, 8, portable_floats, 4};
  if (isa != "avx2" && !isa.contains("vnni") && features.avx512_vnni) {
    return {avx512_int8, 64, avx512_floats, 16};
  }
  if (isa.starts_with("avx512")) return {avx512_int8, 64, avx512_floats, 16};
  if (isa != "avx2" && features.avx_vnni) return {avx_vnni_int8, 32, avx2_floats, 8};
  return {avx2_int8, 32, avx2_floats, 8};
}
#elif defined(__aarch64__)
void neon_floats(int64_t steps) {
  float32x4_t sums[kChains], x = vdupq_n_f32(0.5f), y = vdupq_n_f32(0.25f);
  for (float32x4_t& sum : sums) sum = vdupq_n_f32(0.0f);
  for (int64_t step = 0; step < steps; ++step) {
    for (float32x4_t& sum : sums) sum = vfmaq_f32(sum, x, y);
    asm volatile("" : "+w"(x), "+w"(y));
  }
  for (const float32x4_t& sum : sums) asm volatile("" ::"w"(sum));
}

__attribute__((target("arch=armv8.2-a+dotprod"))) void neon_dotprod_int8(int64_t steps) {
  int32x4_t sums[kChains];
  int8x16_t x = vdupq_n_s8(3), y = vdupq_n_s8(5);
  for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
  for (int64_t step = 0; step < steps; ++step) {
    for (int32x4_t& sum : sums) sum = vdotq_s32(sum, x, y);
    asm volatile("" : "+w"(x), "+w"(y));
  }
  for (const int32x4_t& sum : sums) asm volatile("" ::"w"(sum));
}

__attribute__((target("arch=armv8.2-a+i8mm"))) void neon_i8mm_int8(int64_t steps) {
  int32x4_t sums[kChains];
  int8x16_t x = vdupq_n_s8(3), y = vdupq_n_s8(5);
  for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
  for (int64_t step = 0; step < steps; ++step) {
    for (int32x4_t& sum : sums) sum = vmmlaq_s32(sum, x, y);
    asm volatile("" : "+w"(x), "+w"(y));
  }
  for (const int32x4_t& sum : sums) asm volatile("" ::"w"(sum));
}

Loops loops_of(std::string_view isa) {
  if (isa == "neon_i8mm") return {neon_i8mm_int8, 32, neon_floats, 4};
  if (isa == "neon_dotprod") return {neon_dotprod_int8, 16, neon_floats, 4};
  return {portable_integers, 8, isa == "generic" ? portable_floats : neon_floats, 4};
}
#else
Loops loops_of(std::string_view) { return {portable_integers, 8, portable_floats, 4}; }
#endif

// Of all threads at once, each by its own processor time: other programs do not count.
double multiply_adds_a_second(ThreadTeam& team, Loop loop, int lanes) {
  double best = 0.0;
  for (int i = 0; i < kRepeats; ++i) {
    std::vector<double> rates(team.num_threads());
    team.run([&](ThreadTeam::Worker& worker) {
      const uint64_t begin = thread_cpu_ns();
      loop(kSteps);
      const double seconds = static_cast<double>(thread_cpu_ns() - begin) / 1e9;
      rates[worker.index()] = static_cast<double>(kSteps) * kChains * lanes / seconds;
    });
    double sum = 0.0;
    for (const double rate : rates) sum += rate;
    best = std::max(best, sum);
  }
  return best;
}

}  // namespace

Result<Peaks> measure_peaks(ThreadTeam& team, std::string_view isa) {
  const Loops loops = loops_of(isa);
  Peaks peaks;
  peaks.int8_multiply_adds = multiply_adds_a_second(team, loops.int8, loops.int8_lanes);
  peaks.float_multiply_adds = multiply_adds_a_second(team, loops.floats, loops.float_lanes);
  RUVLLM_ASSIGN(const double gigabytes,
                api::measure_read_bandwidth(team, api::BandwidthClock::kProcessor));
  peaks.read_bytes = gigabytes * 1e9;
  return peaks;
}

}  // namespace ruvllm::bench
