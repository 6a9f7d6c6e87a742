#include "sona/deep/gradients/attention_gradient.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"
#include "device/cpu_device.h"

namespace ruvllm::sona {
namespace {

struct Case {
  int32_t num_rows, num_heads, num_kv_heads, head_dim, window;
};

class AttentionGradientTest : public testing::TestWithParam<Case> {
 protected:
  static std::vector<float> random_rows(int32_t num_rows, int32_t dim, uint64_t seed) {
    const RandomStream random(seed);
    std::vector<float> rows(static_cast<size_t>(num_rows) * static_cast<size_t>(dim));
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = static_cast<float>(4.0 * random.uniform(i) - 2.0);
    }
    return rows;
  }
};

// sum over all of d_mixed * mixed in float64.
double loss(const Case& c, double scale, const std::vector<float>& q, const std::vector<float>& k,
            const std::vector<float>& v, const std::vector<float>& d_mixed) {
  const auto at = [](const std::vector<float>& rows, int64_t i) {
    return static_cast<double>(rows[static_cast<size_t>(i)]);
  };
  double total = 0.0;
  for (int64_t row = 0; row < c.num_rows; ++row) {
    for (int64_t head = 0; head < c.num_heads; ++head) {
      const int64_t kv_head = head / (c.num_heads / c.num_kv_heads);
      const int64_t query = (row * c.num_heads + head) * c.head_dim;
      double sum = 0.0, weighted = 0.0;
      const int64_t first = c.window > 0 ? std::max<int64_t>(0, row - c.window + 1) : 0;
      for (int64_t key = first; key <= row; ++key) {
        const int64_t place = (key * c.num_kv_heads + kv_head) * c.head_dim;
        double score = 0.0, value = 0.0;
        for (int64_t i = 0; i < c.head_dim; ++i) {
          score += at(q, query + i) * at(k, place + i);
          value += at(d_mixed, query + i) * at(v, place + i);
        }
        sum += std::exp(scale * score);
        weighted += std::exp(scale * score) * value;
      }
      total += weighted / sum;
    }
  }
  return total;
}

// Rows over several tiles, whole and broken; gradients are sums of float32 terms with relative
// errors of some 1e-6 each.
TEST_P(AttentionGradientTest, AgreesWithFiniteDifferences) {
  const Case c = GetParam();
  auto device = device::CpuDevice::create(2, "");
  ASSERT_TRUE(device.has_value());
  const ops::AttentionShape shape = {.num_heads = c.num_heads,
                                     .num_kv_heads = c.num_kv_heads,
                                     .head_dim = c.head_dim,
                                     .scale = 0.25f,
                                     .window = c.window};
  const int32_t q_dim = c.num_heads * c.head_dim, kv_dim = c.num_kv_heads * c.head_dim;
  std::vector<float> q = random_rows(c.num_rows, q_dim, 1), k = random_rows(c.num_rows, kv_dim, 2);
  std::vector<float> v = random_rows(c.num_rows, kv_dim, 3);
  const std::vector<float> d_mixed = random_rows(c.num_rows, q_dim, 4);
  const AttentionRows rows = {q.data(), k.data(), v.data(), c.num_rows};
  std::vector<float> mixed(q.size()), dq(q.size(), NAN), dk(k.size(), NAN), dv(v.size(), NAN);
  attend_in_float((*device)->team(), shape, rows, mixed.data());

  Arena arena;
  AttentionGradient gradient;
  gradient.plan(arena, (*device)->kernels(), shape, c.num_rows + 3, 2);
  ASSERT_TRUE(arena.commit(HugePages::kNo, "test").has_value());
  gradient.bind(arena);
  gradient.run((*device)->team(), shape, rows,
               {mixed.data(), d_mixed.data(), dq.data(), dk.data(), dv.data()});

  const auto check = [&](std::vector<float>& values, const std::vector<float>& gradients) {
    double error = 0.0, norm = 0.0;
    for (size_t i = 0; i < values.size(); i += 1 + values.size() / 12) {
      const float old = values[i];
      values[i] = old + 1e-3f;
      const double above = loss(c, 0.25, q, k, v, d_mixed), high = values[i];
      values[i] = old - 1e-3f;
      const double below = loss(c, 0.25, q, k, v, d_mixed), low = values[i];
      values[i] = old;
      const double slope = (above - below) / (high - low);
      error += std::pow(static_cast<double>(gradients[i]) - slope, 2);
      norm += slope * slope;
    }
    EXPECT_GT(norm, 0.0);
    EXPECT_LE(std::sqrt(error / norm), 2e-5);
  };
  check(q, dq);
  check(k, dk);
  check(v, dv);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionGradientTest,
                         testing::Values(Case{2, 1, 1, 8, 0}, Case{32, 2, 2, 16, 0},
                                         Case{75, 4, 2, 24, 0}, Case{97, 6, 1, 16, 0},
                                         Case{75, 4, 2, 16, 20}, Case{97, 2, 1, 16, 40},
                                         Case{70, 2, 1, 8, 2}));

}  // namespace
}  // namespace ruvllm::sona
