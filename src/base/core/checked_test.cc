#include "base/core/checked.h"

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

TEST(Checked, AddAndMulRefuseOverflow) {
  EXPECT_EQ(checked_add<uint64_t>(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_EQ(checked_add<uint64_t>(UINT64_MAX, 1), std::nullopt);
  EXPECT_EQ(checked_mul<uint64_t>(1ull << 32, 1ull << 31), 1ull << 63);
  EXPECT_EQ(checked_mul<uint64_t>(1ull << 32, 1ull << 32), std::nullopt);
  EXPECT_EQ(checked_sub<uint64_t>(1, 2), std::nullopt);
  EXPECT_EQ(checked_mul<int64_t>(INT64_MIN, -1), std::nullopt);
}

TEST(Checked, AlignDoesNotWrapToZero) {
  EXPECT_EQ(checked_align<uint64_t>(33, 32), 64u);
  EXPECT_EQ(checked_align<uint64_t>(64, 32), 64u);
  EXPECT_EQ(checked_align<uint64_t>(UINT64_MAX - 3, 32), std::nullopt);
}

TEST(Checked, CastKeepsSignAndValue) {
  EXPECT_EQ((checked_cast<int32_t>(int64_t{-5})), -5);
  EXPECT_EQ((checked_cast<int32_t>(int64_t{1} << 31)), std::nullopt);
  EXPECT_EQ((checked_cast<uint32_t>(int64_t{-1})), std::nullopt);
  EXPECT_EQ((checked_cast<int64_t>(UINT64_MAX)), std::nullopt);
}

}  // namespace
}  // namespace ruvllm
