#include "model/import/tensor_plan.h"

#include <span>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::model {
namespace {

using formats::SafeType;
using testing::ElementsAre;

// A plan over `values` as one f32 part of rows of `width`.
TensorPlan plan_over(const std::vector<float>& values, uint64_t width, uint64_t rows) {
  TensorPlan plan;
  plan.name = "x.weight";
  plan.dims = {width, rows};
  plan.row_width = width;
  plan.rows_per_part = rows;
  plan.parts = {reinterpret_cast<const std::byte*>(values.data())};
  return plan;
}

std::vector<float> read_all(const TensorPlan& plan) {
  std::vector<float> out(plan.num_elements());
  plan.read_rows(DType::kF32, 0, plan.num_rows(), reinterpret_cast<std::byte*>(out.data()));
  return out;
}

TEST(TensorPlan, RowsOfAHeadBecomePairs) {
  const std::vector<float> values = {0, 1, 2, 3, 10, 11, 12, 13};
  TensorPlan plan = plan_over(values, 1, 8);
  plan.walk.head_dim = 4;
  EXPECT_THAT(read_all(plan), ElementsAre(0, 2, 1, 3, 10, 12, 11, 13));
  EXPECT_FALSE(plan.in_place(DType::kF32).has_value());
  // A chunk in the middle is the same rows.
  float middle[2];
  plan.read_rows(DType::kF32, 5, 2, reinterpret_cast<std::byte*>(middle));
  EXPECT_THAT(middle, ElementsAre(12, 11));
}

TEST(TensorPlan, SourceBytesCoverTheRowsThatAreRead) {
  const std::vector<float> values(16), more(16);
  TensorPlan plan = plan_over(values, 2, 8);
  plan.walk.head_dim = 4;
  const auto offset_of = [&](const std::span<const std::byte>& bytes) {
    return bytes.data() - plan.parts[0];
  };
  // Rows 5 and 6 are rows 6 and 5 of the part.
  std::vector<std::span<const std::byte>> spans = plan.source_bytes(5, 2);
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(offset_of(spans[0]), 5 * 8);
  EXPECT_EQ(spans[0].size(), 16u);
  plan.parts.push_back(reinterpret_cast<const std::byte*>(more.data()));
  plan.dims = {2, 8, 2};
  spans = plan.source_bytes(7, 2);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(offset_of(spans[0]), 7 * 8);
  EXPECT_EQ(spans[1].data(), plan.parts[1]);
  EXPECT_EQ(spans[1].size(), 8u);
}

TEST(TensorPlan, PartsAreStacked) {
  const std::vector<float> a = {1, 2, 3, 4}, b = {5, 6, 7, 8};
  TensorPlan plan = plan_over(a, 2, 2);
  plan.parts.push_back(reinterpret_cast<const std::byte*>(b.data()));
  plan.dims = {2, 2, 2};
  EXPECT_THAT(read_all(plan), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
}

TEST(TensorPlan, AdjacentPartsNeedNoCopy) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8};
  TensorPlan plan = plan_over(values, 2, 2);
  plan.parts.push_back(reinterpret_cast<const std::byte*>(values.data() + 4));
  plan.dims = {2, 2, 2};
  ASSERT_TRUE(plan.in_place(DType::kF32).has_value());
  EXPECT_EQ(plan.in_place(DType::kF32)->size(), 32u);
  EXPECT_FALSE(plan.in_place(DType::kF16).has_value());
}

TEST(TensorPlan, TransposedColumnsAlternate) {
  // [in 2, out 4], gate and up in turn.
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8};
  TensorPlan plan = plan_over(values, 2, 2);
  plan.part_rows = 4;
  plan.change = ValueChange::kTranspose;
  plan.walk = {.first = 1, .step = 2, .head_dim = 0};
  EXPECT_THAT(read_all(plan), ElementsAre(2, 6, 4, 8));
}

TEST(TensorPlan, NormsGainOne) {
  const std::vector<float> values = {-1, 0.5};
  TensorPlan plan = plan_over(values, 2, 1);
  plan.change = ValueChange::kAddOne;
  EXPECT_THAT(read_all(plan), ElementsAre(0, 1.5f));
}

TEST(TensorPlan, DoublesAndComputedValuesAreRead) {
  const std::vector<double> values = {0.5, -2.0};
  TensorPlan plan = plan_over({}, 2, 1);
  plan.source_type = SafeType::kF64;
  plan.parts = {reinterpret_cast<const std::byte*>(values.data())};
  EXPECT_EQ(plan.natural_type(), DType::kF32);
  EXPECT_THAT(read_all(plan), ElementsAre(0.5f, -2.0f));
  TensorPlan computed = plan_over({}, 2, 1);
  computed.computed = {3, 4};
  EXPECT_THAT(read_all(computed), ElementsAre(3, 4));
}

TEST(TensorPlan, Mxfp4NibblesAreReordered) {
  std::vector<std::byte> nibbles(16);
  for (size_t i = 0; i < 16; ++i) {
    nibbles[i] = static_cast<std::byte>((2 * i % 16) | ((2 * i + 1) % 16) << 4);
  }
  const std::byte scale{0x7f};
  TensorPlan plan;
  plan.name = "x.weight";
  plan.dims = {32, 1};
  plan.row_width = 32;
  plan.rows_per_part = 1;
  plan.source_type = SafeType::kU8;
  plan.change = ValueChange::kMxfp4;
  plan.parts = {nibbles.data()};
  plan.scales = {&scale};
  EXPECT_EQ(plan.natural_type(), DType::kMXFP4);
  std::vector<std::byte> out(17);
  plan.read_rows(DType::kMXFP4, 0, 1, out.data());
  EXPECT_EQ(out[0], scale);
  // Element i has the code i % 16: byte j holds elements j and j + 16, both j.
  for (size_t j = 0; j < 16; ++j) EXPECT_EQ(out[1 + j], static_cast<std::byte>(j | j << 4)) << j;
}

TEST(TensorPlan, VectorsNormsAndRoutersAreF32) {
  TensorPlan plan = plan_over({}, 2, 2);
  plan.source_type = SafeType::kBF16;
  EXPECT_EQ(plan.natural_type(), DType::kBF16);
  for (const char* name : {"blk.0.attn_q.bias", "blk.0.attn_norm.weight",
                           "blk.3.ffn_gate_inp.weight", "position_embd.weight"}) {
    plan.name = name;
    EXPECT_EQ(plan.natural_type(), DType::kF32) << name;
  }
  plan.name = "blk.0.attn_sinks.weight";
  plan.dims = {4};
  EXPECT_EQ(plan.natural_type(), DType::kF32);
}

}  // namespace
}  // namespace ruvllm::model
