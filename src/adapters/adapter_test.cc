#include "adapters/adapter.h"

#include <cmath>

#include <gtest/gtest.h>

#include "adapters/test_adapters.h"
#include "base/numeric/half.h"

namespace ruvllm::adapters {
namespace {

using ops::LoraTarget;

TEST(Adapter, RefusesWhatDoesNotFitTheModel) {
  const BaseShape base = small_shape();
  const auto refused = [&](Adapter::Matrices matrices, std::string_view reason) {
    const auto adapter = Adapter::create("mine", base, {std::move(matrices)});
    ASSERT_FALSE(adapter.has_value()) << reason;
    EXPECT_NE(adapter.error().message().find("adapter mine"), std::string::npos);
    EXPECT_NE(adapter.error().message().find(reason), std::string::npos)
        << adapter.error().message();
  };
  refused(random_matrices(base, 2, LoraTarget::kQ, 4, 1), "layer 2, the model has 2 layers");
  refused(random_matrices(base, 0, LoraTarget::kQ, ops::kMaxLoraRank + 1, 1), "rank 513");
  BaseShape wider = base;
  wider.hidden_dim = 32;
  refused(random_matrices(wider, 0, LoraTarget::kDown, 4, 1), "made for another model");
  BaseShape sparse = base;
  sparse.has_experts = true;
  EXPECT_FALSE(Adapter::create("mine", sparse, {random_matrices(base, 0, LoraTarget::kUp, 2, 1)})
                   .has_value());
  EXPECT_TRUE(Adapter::create("mine", sparse, {random_matrices(base, 0, LoraTarget::kQ, 2, 1)})
                  .has_value());
  Adapter::Matrices unscaled = random_matrices(base, 0, LoraTarget::kQ, 4, 1);
  unscaled.scale = NAN;
  refused(unscaled, "the scale is nan");
  EXPECT_FALSE(Adapter::create("mine", base, {}).has_value());
  EXPECT_FALSE(Adapter::create("mine", base,
                               {random_matrices(base, 1, LoraTarget::kUp, 2, 1),
                                random_matrices(base, 1, LoraTarget::kUp, 3, 3)})
                   .has_value());
}

// Values of F16 and BF16 files stay as they are, however small all of them may be; of F32 files 11
// bits.
TEST(Adapter, KeepsWhatHalfPrecisionHolds) {
  const BaseShape base = small_shape();
  Adapter::Matrices exact = random_matrices(base, 0, LoraTarget::kDown, 3, 7);
  for (float& value : exact.a) value = bf16_to_f32(f32_to_bf16(value * 1e-12f));
  for (float& value : exact.b) value = f16_to_f32(f32_to_f16(value * 0.01f));
  exact.a[5] = 0.0f;
  Adapter::Matrices rounded = random_matrices(base, 1, LoraTarget::kQ, 4, 9);
  for (float& value : rounded.a) value *= 1.0f + 0x1p-20f;
  const auto adapter = Adapter::create("half", base, {exact, rounded}).value();
  const std::vector<Adapter::Matrices> kept = all_matrices(*adapter);
  EXPECT_EQ(kept[0].a, exact.a);
  EXPECT_EQ(kept[0].b, exact.b);
  EXPECT_NE(kept[1].a, rounded.a);
  for (size_t i = 0; i < rounded.a.size(); ++i) {
    EXPECT_NEAR(kept[1].a[i], rounded.a[i], std::abs(rounded.a[i]) * 0x1p-11f);
  }
}

TEST(AdapterSet, KeepsPartsInOrderAndScalesThem) {
  const BaseShape base = small_shape();
  const auto first = full_adapter("first", base, 3, 1);
  const auto second =
      Adapter::create("second", base, {random_matrices(base, 1, LoraTarget::kDown, 5, 90)});
  ASSERT_TRUE(second.has_value());
  const auto set = AdapterSet::create({{first, 2.0f}, {*second, 1.0f}});
  ASSERT_TRUE(set.has_value());
  const auto parts = (*set)->view().at(1, LoraTarget::kDown);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].rank, 3);
  const auto unit = [](const Adapter::Factors& factors) { return factors.a_unit * factors.b_unit; };
  EXPECT_FLOAT_EQ(parts[0].scale, 1.0f * unit(first->factors().back()));
  EXPECT_EQ(parts[1].rank, 5);
  EXPECT_FLOAT_EQ(parts[1].scale, 0.5f * unit((*second)->factors()[0]));
  EXPECT_EQ(parts[1].a, (*second)->factors()[0].a);
  EXPECT_EQ((*set)->view().at(0, LoraTarget::kDown).size(), 1u);
}

// By content: an adapter that was loaded again counts as the same. What adds only behind the last
// layer's keys and values leaves them as they are.
TEST(AdapterSet, KnowsWhoMakesTheSameKeys) {
  const BaseShape base = small_shape();
  const auto identity = [](std::vector<ScaledAdapter> adapters) {
    return (*AdapterSet::create(std::move(adapters)))->keys_identity();
  };
  const auto single = [&](int32_t layer_idx, LoraTarget target, uint32_t seed) {
    return *Adapter::create("x", base, {random_matrices(base, layer_idx, target, 2, seed)});
  };
  const auto first = full_adapter("first", base, 3, 1),
             second = full_adapter("second", base, 3, 50);
  const Hash128 alone = identity({{first, 1.0f}});
  EXPECT_EQ(alone, identity({{full_adapter("again", base, 3, 1), 1.0f}}));
  EXPECT_NE(alone, identity({{second, 1.0f}}));
  EXPECT_NE(alone, identity({{first, 0.5f}}));
  EXPECT_NE(identity({{first, 1.0f}, {second, 1.0f}}), identity({{second, 1.0f}, {first, 1.0f}}));
  const int32_t last = base.num_layers - 1;
  for (const LoraTarget target : {LoraTarget::kQ, LoraTarget::kAttnOutput, LoraTarget::kDown}) {
    EXPECT_EQ(identity({{single(last, target, 3), 1.0f}}), Hash128{});
    EXPECT_NE(identity({{single(0, target, 3), 1.0f}}), Hash128{});
    EXPECT_EQ(identity({{first, 1.0f}, {single(last, target, 3), 1.0f}}), alone);
  }
  EXPECT_NE(identity({{single(last, LoraTarget::kK, 3), 1.0f}}), Hash128{});
  EXPECT_NE(identity({{single(last, LoraTarget::kV, 3), 1.0f}}), Hash128{});
}

TEST(AdapterSet, RefusesOtherShapesAndTooMuchRank) {
  BaseShape base = small_shape();
  const auto large = full_adapter("large", base, 300, 1);
  EXPECT_FALSE(AdapterSet::create({{large, 1.0f}, {large, 1.0f}}).has_value());
  EXPECT_TRUE(AdapterSet::create({{large, 1.0f}}).has_value());
  base.num_layers = 1;
  EXPECT_FALSE(
      AdapterSet::create({{full_adapter("a", base, 1, 1), 1.0f}, {large, 1.0f}}).has_value());
}

}  // namespace
}  // namespace ruvllm::adapters
