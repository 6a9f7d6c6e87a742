#include <random>

#include <gtest/gtest.h>

#include <ruvllm/tune/batch.h>

namespace ruvllm {
namespace {

TEST(BatchConfig, TableOfTheGuide) {
  const BatchConfig small{1, 4, 16}, medium{2, 8, 32}, large{4, 16, 64};
  EXPECT_EQ(BatchConfig::for_memory(0.0f), small);
  EXPECT_EQ(BatchConfig::for_memory(7.99f), small);
  EXPECT_EQ(BatchConfig::for_memory(8.0f), medium);
  EXPECT_EQ(BatchConfig::for_memory(15.99f), medium);
  EXPECT_EQ(BatchConfig::for_memory(16.0f), large);
  EXPECT_EQ(BatchConfig::for_memory(1024.0f), large);
}

TEST(BatchConfig, TheTableWhereAllFits) {
  const auto plan = BatchConfig::for_model({.available = 24'000'000'000,
                                            .weights = 400'000'000,
                                            .workspace = 50'000'000,
                                            .sequence = 50'000'000,
                                            .adapter = 10'000'000});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->config, BatchConfig::for_memory(24.0f));
  EXPECT_EQ(plan->limit, BatchLimit::kTable);
  EXPECT_EQ(plan->bytes, 400'000'000u + 50'000'000u + 16u * 50'000'000u);
}

// 7 GB of weights in 8: the table would let 8 sequences run.
TEST(BatchConfig, FewerSequencesWhereTheModelIsLarge) {
  const auto plan = BatchConfig::for_model({.available = 8'000'000'000,
                                            .weights = 7'000'000'000,
                                            .workspace = 100'000'000,
                                            .sequence = 250'000'000});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->config.decode_batch, 3u);
  EXPECT_EQ(plan->config.prefill_batch, 2u);
  EXPECT_EQ(plan->limit, BatchLimit::kSequences);
  EXPECT_NE(plan->reason.find("only 3 sequences"), std::string::npos) << plan->reason;
  EXPECT_EQ(BatchConfig::for_model({.available = 7'400'000'000,
                                    .weights = 7'000'000'000,
                                    .workspace = 100'000'000,
                                    .sequence = 250'000'000})
                ->config.prefill_batch,
            1u);
}

TEST(BatchConfig, FewerAdaptersWhereTheyAreLarge) {
  const auto plan = BatchConfig::for_model({.available = 20'000'000'000,
                                            .weights = 15'000'000'000,
                                            .workspace = 100'000'000,
                                            .sequence = 250'000'000,
                                            .adapter = 100'000'000});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->config.decode_batch, 16u);
  EXPECT_EQ(plan->config.lora_batch, 9u);
  EXPECT_EQ(plan->limit, BatchLimit::kAdapters);
}

TEST(BatchConfig, RefusesWhatDoesNotFitAtAll) {
  const BatchNeeds too_large{.available = 4'000'000'000, .weights = 4'100'000'000};
  EXPECT_EQ(BatchConfig::for_model(too_large).error().code(), ErrorCode::kOutOfMemory);
  const BatchNeeds no_room{
      .available = 4'000'000'000, .weights = 3'900'000'000, .sequence = 200'000'000};
  const auto refused = BatchConfig::for_model(no_room);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("--ctx"), std::string::npos);
  EXPECT_FALSE(BatchConfig::for_model({.available = UINT64_MAX / 2,
                                       .weights = UINT64_MAX,
                                       .workspace = UINT64_MAX,
                                       .sequence = UINT64_MAX})
                   .has_value());
}

// Whatever the sizes: what the plan lets run fits, and is at most the table's.
TEST(BatchConfig, NeverMoreThanFits) {
  std::mt19937_64 random(1);
  int fitted = 0;
  for (int i = 0; i < 10000; ++i) {
    const auto up_to = [&](double most) {
      return static_cast<uint64_t>(std::uniform_real_distribution<double>(0.0, most)(random));
    };
    const BatchNeeds needs{up_to(40e9), up_to(20e9), up_to(2e9), up_to(3e9), up_to(1e9)};
    const auto plan = BatchConfig::for_model(needs);
    if (!plan) continue;
    ++fitted;
    const BatchConfig table =
        BatchConfig::for_memory(static_cast<float>(static_cast<double>(needs.available) / 1e9));
    ASSERT_LE(plan->bytes, needs.available);
    ASSERT_GE(plan->config.decode_batch, 1u);
    ASSERT_LE(plan->config.decode_batch, table.decode_batch);
    ASSERT_LE(plan->config.prefill_batch, plan->config.decode_batch);
    if (plan->config.decode_batch < table.decode_batch) {
      ASSERT_GT(plan->bytes + needs.sequence, needs.available);
    }
    if (plan->config.lora_batch > 1) {
      ASSERT_LE(plan->bytes + plan->config.lora_batch * needs.adapter, needs.available);
    }
  }
  EXPECT_GT(fitted, 1000);
}

}  // namespace
}  // namespace ruvllm
