// Attention over pages of the store, of every implementation that this machine has, against float64
// softmax attention over the numbers that the quantized bits stand for.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/cpu/attention/attention_test_util.h"

namespace ruvllm::kernels {
namespace {

using Shape = std::tuple<int32_t, int32_t, int32_t>;  // rows, head_dim, keys
using Case = std::tuple<AttentionKernels, KvStoreFormat, Shape>;

class StoredAttentionTest : public testing::TestWithParam<Case> {
 protected:
  const AttentionKernels& kernels() const { return std::get<0>(GetParam()); }
  bool is_standard() const { return kernels().paged == kernels().standard; }

  // All rows read all full pages but the last two from the store.
  Problem problem(uint32_t seed) const {
    const auto [rows, head_dim, keys] = std::get<2>(GetParam());
    Problem result(rows, head_dim, keys, seed);
    result.fill_store(std::get<1>(GetParam()));
    result.store_end().assign(result.num_rows(), last_end(keys));
    return result;
  }
  static int32_t last_end(int32_t keys) {
    return std::max(1, keys / kPageTokens - 2) * kPageTokens;
  }
  // Rows disagree about every page.
  Problem mixed_problem(uint32_t seed) const {
    Problem result = problem(seed);
    std::mt19937 generator(seed);
    for (int32_t& end : result.store_end()) {
      const uint32_t pages = static_cast<uint32_t>(end / kPageTokens);
      end = static_cast<int32_t>(generator() % (pages + 1)) * kPageTokens;
    }
    return result;
  }
};

std::string case_name(const testing::TestParamInfo<Case>& test) {
  constexpr const char* kNames[] = {"f16", "q8", "q4", "k8v4", "q3", "q2"};
  const auto& [kernels, format, shape] = test.param;
  return std::string(kernels.name) + "_" + kNames[static_cast<size_t>(format)] + "_rows" +
         std::to_string(std::get<0>(shape)) + "_dim" + std::to_string(std::get<1>(shape)) +
         "_keys" + std::to_string(std::get<2>(shape));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, StoredAttentionTest,
    testing::Combine(testing::ValuesIn(implementations()),
                     testing::Values(KvStoreFormat::kQ8, KvStoreFormat::kQ4, KvStoreFormat::kK8V4,
                                     KvStoreFormat::kQ3, KvStoreFormat::kQ2),
                     testing::Values(Shape{1, 64, 200}, Shape{7, 64, 1060}, Shape{3, 8, 161},
                                     Shape{14, 80, 134}, Shape{6, 96, 100}, Shape{20, 128, 132},
                                     Shape{5, 40, 133}, Shape{64, 16, 165}, Shape{9, 256, 133})),
    case_name);

TEST_P(StoredAttentionTest, StaysWithinItsBound) {
  expect_matches_reference(kernels(), problem(1));
}

TEST_P(StoredAttentionTest, RowsMayDisagreeAboutPages) {
  const Problem mixed = mixed_problem(2);
  expect_matches_reference(kernels(), mixed);
  const auto together = run(kernels(), mixed.args());
  for (size_t row = 0; row < mixed.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], run_row(kernels(), mixed.args(), row))) << row;
  }
}

// Groups of rows of every size have the bits of the whole: few rows as in decode, many as in
// prefill.
TEST_P(StoredAttentionTest, FewRowsHaveTheBitsOfMany) {
  const Problem all = problem(3);
  const AttentionArgs args = all.args();
  const auto together = run(kernels(), args);
  for (const int32_t count : {1, 2, 3, 5, 8, 9, 13, 17}) {
    if (count >= args.num_rows) break;
    AttentionArgs some = args;
    some.num_rows = count;
    const auto first_rows = run(kernels(), some);
    for (size_t row = 0; row < first_rows.size(); ++row) {
      ASSERT_TRUE(same_bits(together[row], first_rows[row])) << count << " " << row;
    }
  }
}

// A store that no row reads has no influence, and neither has what it holds.
TEST_P(StoredAttentionTest, UnreadStoreHasNoInfluence) {
  Problem unread = problem(4);
  for (const int32_t end : {0, kPageTokens}) {
    unread.store_end().assign(unread.num_rows(), end);
    Problem without = unread;
    without.store_end().clear();
    const auto expected = run(kernels(), without.args()), actual = run(kernels(), unread.args());
    for (size_t row = 0; row < unread.num_rows(); ++row) {
      EXPECT_TRUE(same_bits(expected[row], actual[row])) << row;
    }
  }
}

// Binary16 pages that all rows have in the store may be gone, as pages and as numbers.
TEST_P(StoredAttentionTest, StoredPagesAreNotReadAsBinary16) {
  Problem stored = problem(5);
  const auto expected = run(kernels(), stored.args());
  const int32_t end = stored.store_end()[0];
  for (int32_t token = kSinkTokens; token < end; ++token) {
    for (size_t dim = 0; dim < stored.head_dim(); ++dim) {
      stored.key(token, dim) = kHalfNaN;
      stored.value(token, dim) = kHalfInfinity;
    }
  }
  for (int32_t page = 1; page < end / kPageTokens; ++page) stored.drop_page(page);
  const auto actual = run(kernels(), stored.args());
  for (size_t row = 0; row < stored.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(expected[row], actual[row])) << row;
  }
}

// Windows that begin anywhere, caps and sinks, over rows that disagree.
TEST_P(StoredAttentionTest, WindowsCapsAndSinks) {
  Problem full = mixed_problem(6);
  std::mt19937 generator(7);
  for (int32_t& visible : full.visible()) {
    visible = std::max(1, visible - static_cast<int32_t>(generator() % 60));
    full.first().push_back(static_cast<int32_t>(generator() % static_cast<uint32_t>(visible)));
    full.sinks().push_back(static_cast<float>(generator() % 5) - 2.0f);
  }
  full.set_soft_cap(2.0f);
  expect_matches_reference(kernels(), full);
  const AttentionArgs args = full.args();
  const auto together = run(kernels(), args);
  for (size_t row = 0; row < full.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], run_row(kernels(), args, row))) << row;
  }
  if (is_standard()) return;  // no parts
  const auto parts = run_in_parts(kernels(), args);
  for (size_t row = 0; row < full.num_rows(); ++row) {
    EXPECT_TRUE(same_bits(together[row], parts[row])) << row;
  }
}

// A value of NaN before a row's window does not reach it; a key of NaN is one of its whole page.
TEST_P(StoredAttentionTest, HiddenValuesHaveNoInfluence) {
  Problem windowed = problem(8);
  const int32_t hidden = kSinkTokens + 5;  // in the first page of the store
  if (windowed.store_end()[0] <= hidden) return;
  for (size_t row = 0; row < windowed.num_rows(); ++row) {
    windowed.first().push_back(row % 2 == 0 ? hidden + 1 : 0);
  }
  const auto clean = run(kernels(), windowed.args());
  for (size_t dim = 0; dim < windowed.head_dim(); ++dim) windowed.value(hidden, dim) = kHalfNaN;
  windowed.fill_store(std::get<1>(GetParam()));
  const auto poisoned = run(kernels(), windowed.args());
  for (size_t row = 0; row < windowed.num_rows(); ++row) {
    EXPECT_EQ(std::isnan(poisoned[row][0]), row % 2 == 1) << row;
    EXPECT_TRUE(row % 2 == 1 || same_bits(clean[row], poisoned[row])) << row;
  }
}

// Scales that differ by 2^20 between the channels of a page, and by 2^10 between its tokens, which
// factors of 15 bits cannot all hold.
TEST_P(StoredAttentionTest, OutliersStayWithinTheBound) {
  Problem outliers = problem(9);
  const auto scale_by = [](uint16_t& half, int exponent) {
    half = f32_to_f16(std::ldexp(f16_to_f32(half), exponent));
  };
  for (int32_t token = 0; token < outliers.visible()[0]; ++token) {
    for (size_t dim = 0; dim < outliers.head_dim(); ++dim) {
      if (dim % 7 == 1) scale_by(outliers.key(token, dim), dim % 2 == 0 ? 4 : -16);
      if (token % 5 == 2) scale_by(outliers.value(token, dim), token % 2 == 0 ? 2 : -8);
    }
  }
  for (size_t row = 0; row < outliers.num_rows(); ++row) {
    for (size_t dim = 1; dim < outliers.head_dim(); dim += 7) outliers.q(row, dim) *= 0.01f;
  }
  outliers.fill_store(std::get<1>(GetParam()));
  expect_matches_reference(kernels(), outliers);
}

// A query of zeros weighs all keys alike, one that is not finite makes its row NaN and no other, as
// does a key or value that all rows see.
TEST_P(StoredAttentionTest, ZeroAndNonFiniteNumbers) {
  Problem special = problem(10);
  if (special.store_end()[0] <= kSinkTokens || special.num_rows() < 3) return;
  for (size_t dim = 0; dim < special.head_dim(); ++dim) special.q(0, dim) = 0.0f;
  const auto clean = run(kernels(), special.args());
  expect_matches_reference(kernels(), special);
  special.q(1, 3) = kNaN;
  special.q(2, 5) = kInfinity;
  const auto actual = run(kernels(), special.args());
  for (size_t row = 0; row < special.num_rows(); ++row) {
    EXPECT_EQ(std::isnan(actual[row][0]), row == 1 || row == 2) << row;
    EXPECT_TRUE(row == 1 || row == 2 || same_bits(clean[row], actual[row])) << row;
  }
  Problem bad_key = problem(10), bad_value = problem(10);
  bad_key.key(kSinkTokens + 3, 1) = kHalfNaN;
  bad_value.value(kSinkTokens + 3, 1) = kHalfInfinity;
  for (Problem* const bad : {&bad_key, &bad_value}) {
    bad->fill_store(std::get<1>(GetParam()));
    for (const auto& row : run(kernels(), bad->args())) EXPECT_TRUE(std::isnan(row[1]));
  }
}

}  // namespace
}  // namespace ruvllm::kernels
