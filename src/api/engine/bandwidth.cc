#include "api/engine/bandwidth.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "base/memory/buffer.h"
#include "base/system/clock.h"

namespace ruvllm::api {
namespace {

// Sums words in eight chains, so that loads and not additions are the limit.
uint64_t sum_words(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

Result<double> measure_read_bandwidth(ThreadTeam& team, BandwidthClock clock) {
  constexpr size_t kBytes = 256u << 20;
  constexpr int64_t kChunk = 1 << 20;
  constexpr int kPasses = 5;
  RUVLLM_ASSIGN(const Buffer buffer,
                Buffer::allocate(kBytes, HugePages::kPrefer, "bandwidth measurement"));
  std::memset(buffer.data(), 1, kBytes);
  std::atomic<uint64_t> sink{0};
  uint64_t best_ns = UINT64_MAX;
  std::vector<uint64_t> thread_ns(team.num_threads());
  for (int pass = 0; pass < kPasses; ++pass) {
    const uint64_t begin = monotonic_ns();
    team.run([&](ThreadTeam::Worker& worker) {
      const uint64_t thread_begin = thread_cpu_ns();
      worker.for_chunks(static_cast<int64_t>(kBytes), kChunk, [&](int64_t from, int64_t to) {
        const std::byte* data = buffer.data() + from;
        sink += sum_words(reinterpret_cast<const uint64_t*>(data),
                          static_cast<size_t>(to - from) / sizeof(uint64_t));
      });
      thread_ns[worker.index()] = thread_cpu_ns() - thread_begin;
    });
    const uint64_t wall_ns = monotonic_ns() - begin;
    best_ns = std::min(
        best_ns, clock == BandwidthClock::kWall ? wall_ns : *std::ranges::max_element(thread_ns));
  }
  return static_cast<double>(kBytes) / static_cast<double>(best_ns);
}

}  // namespace ruvllm::api
