// Paged attention of every implementation that this machine has, against float64 softmax attention.
#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/half.h"
#include "base/system/cpu_info.h"
#include "kernels/cpu/attention/attention_test_util.h"
#include "kernels/ref/attention.h"

namespace ruvllm::kernels {
namespace {

TEST(AttentionCoverageTest, TestsEveryIsaOfThisMachine) {
  std::vector<std::string> expected = {"generic"}, actual;
  if (cpu_features().avx2) expected.push_back("avx2");
  if (cpu_features().avx512) expected.push_back("avx512");
#if defined(__aarch64__)
  expected.push_back("neon");
#endif
  for (size_t i = 0, num_isas = expected.size(); i < num_isas; ++i) {
    expected.push_back(expected[i] + "_standard");
  }
  for (const AttentionKernels& kernels : implementations()) actual.push_back(kernels.name);
  EXPECT_EQ(actual, expected);
}

using Shape = std::tuple<int32_t, int32_t, int32_t>;  // rows, head_dim, keys
class AttentionTest : public testing::TestWithParam<std::tuple<AttentionKernels, Shape>> {
 protected:
  const AttentionKernels& kernels() const { return std::get<0>(GetParam()); }
  Problem problem(uint32_t seed, float deviation = 1.0f) const {
    const auto [rows, head_dim, keys] = std::get<1>(GetParam());
    return Problem(rows, head_dim, keys, seed, deviation);
  }
};

std::string shape_name(const testing::TestParamInfo<AttentionTest::ParamType>& test) {
  const auto& [kernels, shape] = test.param;
  return std::string(kernels.name) + "_rows" + std::to_string(std::get<0>(shape)) + "_dim" +
         std::to_string(std::get<1>(shape)) + "_keys" + std::to_string(std::get<2>(shape));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionTest,
    testing::Combine(testing::ValuesIn(implementations()),
                     testing::Values(Shape{1, 64, 1}, Shape{1, 16, 33}, Shape{2, 24, 32},
                                     Shape{3, 8, 31}, Shape{4, 32, 64}, Shape{5, 40, 100},
                                     Shape{6, 128, 257}, Shape{7, 64, 1000}, Shape{8, 256, 95},
                                     Shape{14, 48, 63}, Shape{13, 56, 200}, Shape{28, 64, 130},
                                     Shape{64, 128, 300}, Shape{3, 16, 2600}, Shape{63, 16, 65},
                                     Shape{64, 256, 40})),
    shape_name);

TEST_P(AttentionTest, StaysWithinItsBound) { expect_matches_reference(kernels(), problem(1)); }

// Rows of a tile see different numbers of keys, in no order; unseen keys of the pages hold NaN.
TEST_P(AttentionTest, MasksEachRowByItself) {
  Problem masked = problem(2);
  std::mt19937 generator(5);
  for (int32_t& visible : masked.visible()) {
    visible = 1 + static_cast<int32_t>(generator() % static_cast<uint32_t>(visible));
  }
  expect_matches_reference(kernels(), masked);
}

// The last rows of a causal prefill; all but the longest row have later keys in their last page.
TEST_P(AttentionTest, CausalTileIgnoresNaNInLaterTokens) {
  Problem causal = problem(3);
  const int32_t num_keys = causal.visible()[0];
  for (size_t row = 0; row < causal.num_rows(); ++row) {
    const int32_t back = static_cast<int32_t>(causal.num_rows() - 1 - row);
    causal.visible()[row] = std::max(1, num_keys - back);
  }
  expect_matches_reference(kernels(), causal);
  const auto clean = run(kernels(), causal.args());
  for (size_t dim = 0; dim < causal.head_dim(); ++dim) {
    causal.key(num_keys - 1, dim) = kHalfNaN;
    causal.value(num_keys - 1, dim) = kHalfInfinity;
  }
  const auto poisoned = run(kernels(), causal.args());
  for (size_t row = 0; row < causal.num_rows(); ++row) {
    if (causal.visible()[row] < num_keys) {
      EXPECT_TRUE(same_bits(clean[row], poisoned[row])) << row;
    } else {
      EXPECT_TRUE(std::isnan(poisoned[row][0])) << row;
    }
  }
}

TEST_P(AttentionTest, RowAloneHasTheSameBits) {
  Problem masked = problem(4);
  std::mt19937 generator(6);
  for (int32_t& visible : masked.visible()) {
    visible = std::max(1, visible - static_cast<int32_t>(generator() % 70));
  }
  const AttentionArgs args = masked.args();
  const auto together = run(kernels(), args);
  for (size_t row = 0; row < masked.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], run_row(kernels(), args, row))) << row;
  }
  for (int32_t count = 2; count <= std::min(args.num_rows, 9); ++count) {
    AttentionArgs some = args;
    some.num_rows = count;
    const auto first_rows = run(kernels(), some);
    for (size_t row = 0; row < first_rows.size(); ++row) {
      EXPECT_TRUE(same_bits(together[row], first_rows[row])) << count << " " << row;
    }
  }
}

TEST_P(AttentionTest, PermutedPagesHaveTheSameBits) {
  Problem original = problem(7);
  const auto in_order = run(kernels(), original.args());
  original.permute_pages(8);
  const auto permuted = run(kernels(), original.args());
  for (size_t row = 0; row < in_order.size(); ++row) {
    EXPECT_TRUE(same_bits(in_order[row], permuted[row]));
  }
}

TEST_P(AttentionTest, NaNInOneQueryStaysInItsRow) {
  Problem poisoned = problem(9);
  const auto clean = run(kernels(), poisoned.args());
  const size_t bad = poisoned.num_rows() / 2;
  poisoned.q(bad, poisoned.head_dim() - 1) = kNaN;
  const auto actual = run(kernels(), poisoned.args());
  for (size_t row = 0; row < actual.size(); ++row) {
    EXPECT_TRUE(row == bad || same_bits(actual[row], clean[row]));
  }
  for (const float output : actual[bad]) EXPECT_TRUE(std::isnan(output));
}

// Windows of all lengths, in no order, over keys of which each page's others hold NaN: in what lies
// before the window as well as behind.
TEST_P(AttentionTest, WindowsMaskBothEnds) {
  Problem windowed = problem(12);
  std::mt19937 generator(13);
  const auto below = [&](int32_t n) {
    return static_cast<int32_t>(generator() % static_cast<uint32_t>(n));
  };
  for (int32_t& visible : windowed.visible()) {
    visible = 1 + below(visible);
    windowed.first().push_back(below(visible));
  }
  expect_matches_reference(kernels(), windowed);
  const auto together = run(kernels(), windowed.args());
  for (size_t row = 0; row < windowed.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], run_row(kernels(), windowed.args(), row))) << row;
  }
  // Nothing outside of the windows has influence, not even as a page that is not there.
  const int32_t earliest = *std::min_element(windowed.first().begin(), windowed.first().end());
  for (int32_t token = 0; token < earliest; ++token) {
    for (size_t dim = 0; dim < windowed.head_dim(); ++dim) {
      windowed.key(token, dim) = kHalfInfinity;
      windowed.value(token, dim) = kHalfNaN;
    }
  }
  for (int32_t page = 0; page < earliest / kPageTokens; ++page) windowed.drop_page(page);
  const auto poisoned = run(kernels(), windowed.args());
  for (size_t row = 0; row < windowed.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], poisoned[row])) << row;
  }
}

// The last rows of a causal prefill in a window: neighbours see one key more and one less.
TEST_P(AttentionTest, SlidingWindowIgnoresNaNInEarlierTokens) {
  Problem sliding = problem(14);
  const int32_t num_keys = sliding.visible()[0];
  for (const int32_t window : {1, 5, 32, 40}) {
    sliding.first().clear();
    for (size_t row = 0; row < sliding.num_rows(); ++row) {
      const int32_t back = static_cast<int32_t>(sliding.num_rows() - 1 - row);
      sliding.visible()[row] = std::max(1, num_keys - back);
      sliding.first().push_back(std::max(0, sliding.visible()[row] - window));
    }
    expect_matches_reference(kernels(), sliding);
    Problem poisoned = sliding;
    const int32_t bad = sliding.first().front();  // the first row's first key
    for (size_t dim = 0; dim < sliding.head_dim(); ++dim) {
      poisoned.key(bad, dim) = kHalfNaN;
      poisoned.value(bad, dim) = kHalfInfinity;
    }
    const auto clean = run(kernels(), sliding.args()), actual = run(kernels(), poisoned.args());
    for (size_t row = 0; row < sliding.num_rows(); ++row) {
      const bool sees = sliding.first()[row] <= bad && bad < sliding.visible()[row];
      EXPECT_EQ(sees, std::isnan(actual[row][0])) << row;
      EXPECT_TRUE(sees || same_bits(clean[row], actual[row])) << row;
    }
  }
}

TEST_P(AttentionTest, PartsHaveTheBitsOfTheWhole) {
  for (const bool with_window : {false, true}) {
    Problem split = problem(18);
    std::mt19937 generator(19);
    for (int32_t& visible : split.visible()) {
      if (with_window) {
        visible = 1 + static_cast<int32_t>(generator() % static_cast<uint32_t>(visible));
        split.first().push_back(std::max(0, visible - 1100));
      }
      split.sinks().push_back(0.5f);
    }
    // Standard attention has no parts.
    if (kernels().paged == kernels().standard) return;
    const AttentionArgs args = split.args();
    const auto whole = run(kernels(), args), parts = run_in_parts(kernels(), args);
    for (size_t row = 0; row < split.num_rows(); ++row) {
      EXPECT_TRUE(same_bits(whole[row], parts[row])) << row;
    }
  }
}

// Caps far below, at and far above the scores' size, with sinks below and above them.
TEST_P(AttentionTest, CapsScoresAndCountsSinks) {
  for (const float cap : {0.0f, 0.25f, 3.0f, 1000.0f}) {
    for (const bool with_sinks : {false, true}) {
      Problem capped = problem(15, 3.0f);
      std::mt19937 generator(16);
      std::normal_distribution<float> distribution(0.0f, 10.0f);
      for (size_t row = 0; with_sinks && row < capped.num_rows(); ++row) {
        capped.sinks().push_back(distribution(generator));
      }
      for (int32_t& visible : capped.visible()) {
        visible = std::max(1, visible - static_cast<int32_t>(generator() % 40));
        capped.first().push_back(std::max(0, visible - 50));
      }
      capped.set_soft_cap(cap);
      SCOPED_TRACE(cap);
      expect_matches_reference(kernels(), capped);
      const auto together = run(kernels(), capped.args());
      for (size_t row = 0; row < capped.num_rows(); ++row) {
        EXPECT_TRUE(same_bits(together[row], run_row(kernels(), capped.args(), row))) << row;
      }
    }
  }
}

// A sink of -infinity is none; one far above all scores takes all the weight.
TEST_P(AttentionTest, SinksFromNothingToEverything) {
  Problem with_sinks = problem(17);
  const auto without = run(kernels(), with_sinks.args());
  with_sinks.sinks().assign(with_sinks.num_rows(), -kInfinity);
  const auto nothing = run(kernels(), with_sinks.args());
  with_sinks.sinks().assign(with_sinks.num_rows(), 1e4f);
  const auto everything = run(kernels(), with_sinks.args());
  for (size_t row = 0; row < with_sinks.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(without[row], nothing[row])) << row;
    for (const float output : everything[row]) ASSERT_EQ(output, 0.0f) << row;
  }
}

// Scores around +-1e4: one key takes all the weight wherever it stands, with no overflow.
TEST_P(AttentionTest, HugeScoresSelectTheLargest) {
  Problem huge = problem(10);
  const int32_t num_keys = huge.visible()[0];
  huge.set_scale(1.0f);
  for (const int32_t best : {0, num_keys / 2, num_keys - 1}) {
    for (int32_t token = 0; token < num_keys; ++token) {
      for (size_t dim = 0; dim < huge.head_dim(); ++dim) huge.key(token, dim) = 0;
      huge.key(token, 0) = f32_to_f16(token == best ? 100.0f : -100.0f);
    }
    for (size_t row = 0; row < huge.num_rows(); ++row) huge.q(row, 0) = 100.0f;
    const auto actual = run(kernels(), huge.args());
    for (const std::vector<float>& row : actual) {
      for (size_t dim = 0; dim < huge.head_dim(); ++dim) {
        ASSERT_EQ(row[dim], f16_to_f32(huge.value(best, dim)));
      }
    }
  }
}

// Keys whose score is -infinity get no weight, even when they come first or fill pages.
TEST_P(AttentionTest, MinusInfinityScoresHaveNoWeight) {
  Problem cut = problem(11);
  const int32_t num_keys = cut.visible()[0];
  for (size_t row = 0; row < cut.num_rows(); ++row) {
    cut.q(row, 0) = 1.0f;
    for (size_t dim = 1; dim < cut.head_dim(); ++dim) cut.q(row, dim) = 0.0f;
  }
  for (int32_t token = 0; token < num_keys; ++token) {
    cut.key(token, 0) = f32_to_f16(token == num_keys - 1 ? 0.5f : -kInfinity);
  }
  for (const std::vector<float>& row : run(kernels(), cut.args())) {
    for (size_t dim = 0; dim < cut.head_dim(); ++dim) {
      ASSERT_EQ(row[dim], f16_to_f32(cut.value(num_keys - 1, dim)));
    }
  }
  cut.key(num_keys - 1, 0) = f32_to_f16(-kInfinity);
  for (const std::vector<float>& row : run(kernels(), cut.args())) {
    for (const float output : row) ASSERT_EQ(output, 0.0f);
  }
}

// Equal scores and small integers: every sum is exact, and so is the division by a power of two.
TEST(AttentionIsaTest, ExactFillsAreBitEqual) {
  for (const int32_t num_keys : {1, 2, 32, 64, 512}) {
    Problem exact(7, 72, num_keys, 1);
    for (int32_t token = 0; token < num_keys; ++token) {
      for (size_t dim = 0; dim < exact.head_dim(); ++dim) {
        exact.key(token, dim) = f32_to_f16(static_cast<float>(dim % 5) - 2.0f);
        const int integer = (token * 7 + static_cast<int>(dim) * 3) % 41 - 20;
        exact.value(token, dim) = f32_to_f16(static_cast<float>(integer));
      }
    }
    for (size_t row = 0; row < exact.num_rows(); ++row) {
      for (size_t dim = 0; dim < exact.head_dim(); ++dim) {
        exact.q(row, dim) = static_cast<float>((row + dim) % 7);
      }
    }
    exact.set_scale(0.25f);
    const AttentionArgs args = exact.args();
    for (const AttentionKernels& kernels : implementations()) {
      const auto actual = run(kernels, args);
      for (size_t row = 0; row < actual.size(); ++row) {
        const ref::AttentionRow expected = ref::attention_row(args, static_cast<int>(row));
        for (size_t dim = 0; dim < exact.head_dim(); ++dim) {
          ASSERT_EQ(static_cast<double>(actual[row][dim]), expected.output[dim]) << kernels.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ruvllm::kernels
