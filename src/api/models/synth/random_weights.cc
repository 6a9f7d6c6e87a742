#include "api/models/synth/random_weights.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/core/check.h"
#include "tensor/codec.h"

namespace ruvllm::api {
namespace {

constexpr uint64_t kRunsBits = 12;
constexpr size_t kNumRuns = size_t{1} << kRunsBits;  // 1 M weights a pool

// Sum of the eight 16-bit fields of two words: about normal (Irwin-Hall) and, unlike Box-Muller,
// free of the math library, whose last bits differ between machines.
float standard_normal(uint64_t first, uint64_t second) {
  constexpr int32_t kMean = 4 * 65535;
  constexpr float kInverseDeviation = 1.0f / 53509.9f;  // 65536 * sqrt(8 / 12)
  int32_t sum = 0;
  for (int shift = 0; shift < 64; shift += 16) {
    sum += static_cast<int32_t>((first >> shift) & 0xffff);
    sum += static_cast<int32_t>((second >> shift) & 0xffff);
  }
  return static_cast<float>(sum - kMean) * kInverseDeviation;
}

}  // namespace

size_t RandomWeights::run_bytes(DType dtype) {
  const std::optional<size_t> bytes = row_bytes(dtype, kRunElements);
  RUVLLM_CHECK(bytes.has_value());
  return *bytes;
}

const std::vector<std::byte>& RandomWeights::pool(DType dtype) {
  std::vector<std::byte>& pool = pools_[static_cast<size_t>(dtype)];
  if (!pool.empty()) return pool;
  const size_t size = run_bytes(dtype);
  pool.resize(kNumRuns * size);
  // Types draw from disjoint parts of the stream.
  uint64_t counter = static_cast<uint64_t>(dtype) * kNumRuns * kRunElements * 2;
  std::array<float, kRunElements> run;
  for (size_t run_idx = 0; run_idx < kNumRuns; ++run_idx) {
    for (float& value : run) {
      value =
          kStandardDeviation * standard_normal(values_.bits(counter), values_.bits(counter + 1));
      counter += 2;
    }
    encode_row(dtype, run.data(), run.size(), pool.data() + run_idx * size);
  }
  return pool;
}

void RandomWeights::fill(DType dtype, std::span<std::byte> out) {
  const std::vector<std::byte>& runs = pool(dtype);
  const size_t size = run_bytes(dtype);
  while (!out.empty()) {
    const size_t run_idx = order_.bits(num_drawn_++) >> (64 - kRunsBits);
    const size_t num_bytes = std::min(size, out.size());
    std::memcpy(out.data(), runs.data() + run_idx * size, num_bytes);
    out = out.subspan(num_bytes);
  }
}

}  // namespace ruvllm::api
