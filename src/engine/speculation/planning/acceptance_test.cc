#include "engine/speculation/planning/acceptance.h"

#include <set>

#include <gtest/gtest.h>

#include "engine/speculation/ngram_index.h"

namespace ruvllm::engine {
namespace {

TEST(DraftKinds, AreOrderedAndDoNotMix) {
  int32_t previous = -1;
  std::set<int32_t> seen;
  for (int32_t length = NgramIndex::kMinMatch; length < 100; ++length) {
    const int32_t idx = lookup_kind(length).idx;
    EXPECT_GE(idx, previous);
    EXPECT_LE(idx, previous + 1);
    EXPECT_LT(idx, kNumLookupKinds);
    seen.insert(previous = idx);
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(kNumLookupKinds));
  for (int32_t i = 0; i < kMaxDrafts; ++i) {
    EXPECT_TRUE(seen.insert(model_kind(i).idx).second);
    EXPECT_LT(model_kind(i).idx, kNumDraftKinds);
  }
}

TEST(AcceptanceRates, StartAsExpectedAndFollowTheText) {
  AcceptanceRates rates(12.0f);
  const DraftKind kind = lookup_kind(3), other = model_kind(0);
  EXPECT_DOUBLE_EQ(rates.rate(kind, 0.4), 0.4);
  for (int i = 0; i < 100; ++i) rates.observe(kind, true);
  EXPECT_GT(rates.rate(kind, 0.4), 0.85);
  EXPECT_LE(rates.rate(kind, 0.4), 1.0);
  for (int i = 0; i < 30; ++i) rates.observe(kind, false);
  EXPECT_LT(rates.rate(kind, 0.4), 0.2);
  EXPECT_DOUBLE_EQ(rates.rate(other, 0.4), 0.4);
}

}  // namespace
}  // namespace ruvllm::engine
