#include "tensor/dtype.h"

#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

struct Expected {
  DType dtype;
  std::string_view name;
  uint32_t block_elements;
  uint32_t block_bytes;
};

constexpr Expected kExpected[] = {
    {DType::kF32, "f32", 1, 4},
    {DType::kF16, "f16", 1, 2},
    {DType::kBF16, "bf16", 1, 2},
    {DType::kQ4_0, "q4_0", 32, 18},
    {DType::kQ5_0, "q5_0", 32, 22},
    {DType::kQ8_0, "q8_0", 32, 34},
    {DType::kQ4_K, "q4_K", 256, 144},
    {DType::kQ5_K, "q5_K", 256, 176},
    {DType::kQ6_K, "q6_K", 256, 210},
    {DType::kQ4_1, "q4_1", 32, 20},
    {DType::kQ5_1, "q5_1", 32, 24},
    {DType::kQ2_K, "q2_K", 256, 84},
    {DType::kQ3_K, "q3_K", 256, 110},
    {DType::kIQ4_NL, "iq4_nl", 32, 18},
    {DType::kIQ4_XS, "iq4_xs", 256, 136},
    {DType::kMXFP4, "mxfp4", 32, 17},
    {DType::kIQ2_XXS, "iq2_xxs", 256, 66},
    {DType::kIQ2_XS, "iq2_xs", 256, 74},
    {DType::kIQ2_S, "iq2_s", 256, 82},
    {DType::kIQ3_XXS, "iq3_xxs", 256, 98},
    {DType::kIQ3_S, "iq3_s", 256, 110},
    {DType::kIQ1_S, "iq1_s", 256, 50},
    {DType::kIQ1_M, "iq1_m", 256, 56},
    {DType::kTQ1_0, "tq1_0", 256, 54},
    {DType::kTQ2_0, "tq2_0", 256, 66},
};

TEST(DType, TableAndNames) {
  static_assert(std::size(kExpected) == kNumDTypes);
  for (const Expected& expected : kExpected) {
    const DTypeInfo& info = dtype_info(expected.dtype);
    EXPECT_EQ(info.name, expected.name);
    EXPECT_EQ(info.block_elements, expected.block_elements) << expected.name;
    EXPECT_EQ(info.block_bytes, expected.block_bytes) << expected.name;
    EXPECT_EQ(dtype_from_name(expected.name), expected.dtype);
  }
}

TEST(DType, NamesIgnoreCase) {
  EXPECT_EQ(dtype_from_name("Q4_K"), DType::kQ4_K);
  EXPECT_EQ(dtype_from_name("q4_k"), DType::kQ4_K);
  EXPECT_EQ(dtype_from_name("BF16"), DType::kBF16);
  EXPECT_EQ(dtype_from_name("q4"), std::nullopt);
  EXPECT_EQ(dtype_from_name("q4_K "), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
}

TEST(DType, RowBytesCountsWholeBlocks) {
  EXPECT_EQ(row_bytes(DType::kF32, 3), 12u);
  EXPECT_EQ(row_bytes(DType::kQ4_0, 64), 36u);
  EXPECT_EQ(row_bytes(DType::kQ6_K, 512), 420u);
  EXPECT_EQ(row_bytes(DType::kQ6_K, 0), 0u);
  EXPECT_EQ(row_bytes(DType::kQ4_0, 33), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kQ4_K, 32), std::nullopt);
}

TEST(DType, RowBytesRefusesOverflow) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(row_bytes(DType::kF32, kMax), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kF32, kMax / 4), std::nullopt);  // fits 64 bits, not an object
  EXPECT_EQ(row_bytes(DType::kF16, (uint64_t{1} << 62) - 1), (size_t{1} << 63) - 2);
  EXPECT_EQ(row_bytes(DType::kF16, uint64_t{1} << 62), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kQ8_0, kMax - 31), std::nullopt);
}

}  // namespace
}  // namespace ruvllm
