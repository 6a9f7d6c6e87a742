#include "adapters/merge.h"

#include <vector>

#include <gtest/gtest.h>

#include "adapters/test_adapters.h"

namespace ruvllm::adapters {
namespace {

TEST(Merge, AddsTheProductOfTheFactors) {
  const BaseShape base = small_shape();
  const auto set = AdapterSet::create(
      {{full_adapter("one", base, 3, 1), 1.0f}, {full_adapter("two", base, 2, 50), -0.5f}});
  ASSERT_TRUE(set.has_value());
  for (size_t t = 0; t < ops::kNumLoraTargets; ++t) {
    const auto target = static_cast<ops::LoraTarget>(t);
    const int32_t in_dim = base.in_dim(target), row = base.out_dim(target) - 1;
    std::vector<float> values(static_cast<size_t>(in_dim), 1.0f);
    const std::vector<Adapter::Matrices> parts = additions(**set, 1, target);
    ASSERT_EQ(parts.size(), 2u);
    add_to_weight_row(parts, row, in_dim, values.data());
    for (int32_t i = 0; i < in_dim; ++i) {
      double expected = 1.0;
      for (const Adapter::Matrices& part : parts) {
        for (int32_t j = 0; j < part.rank; ++j) {
          expected += static_cast<double>(part.scale) *
                      part.b[static_cast<size_t>(row * part.rank + j)] *
                      part.a[static_cast<size_t>(j * in_dim + i)];
        }
      }
      EXPECT_NEAR(values[static_cast<size_t>(i)], expected, 1e-5);
    }
  }
}

}  // namespace
}  // namespace ruvllm::adapters
