#include "engine/scheduling/scheduler.h"

#include <random>

#include <gtest/gtest.h>

namespace ruvllm::engine {
namespace {

TEST(Scheduler, DecodesComeBeforePrompts) {
  const std::vector<SchedulerEntry> entries = {{100, 0}, {10, 9}, {50, 20}, {7, 6, true}};
  std::vector<ScheduledSpan> spans;
  schedule(entries, 64, spans);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].entry_idx, 1);
  EXPECT_EQ(spans[0].num_rows, 1);
  EXPECT_EQ(spans[1].entry_idx, 0);
  EXPECT_EQ(spans[1].num_rows, 63);
}

TEST(Scheduler, DraftsHaveWhatRoomTheDecodesLeave) {
  std::vector<SchedulerEntry> entries = {{10, 9}, {20, 19}, {30, 29}, {40, 39, true}};
  for (SchedulerEntry& entry : entries) entry.num_drafts = 4;
  std::vector<ScheduledSpan> spans;
  schedule(entries, 64, spans);
  ASSERT_EQ(spans.size(), 3u);
  for (const ScheduledSpan& span : spans) EXPECT_EQ(span.num_rows, 5);
  schedule(entries, 9, spans);  // six beside the three decodes
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0].num_rows, 5);
  EXPECT_EQ(spans[1].num_rows, 3);
  EXPECT_EQ(spans[2].num_rows, 1);
  schedule(entries, 2, spans);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].num_rows + spans[1].num_rows, 2);
}

// In order of arrival, short ones too, so that none waits for ever.
TEST(Scheduler, WholeEntriesRunInOneStepOrWait) {
  std::vector<SchedulerEntry> entries = {{30, 0}, {40, 0}, {1, 0}, {5, 0}};
  for (SchedulerEntry& entry : entries) entry.whole = true;
  std::vector<ScheduledSpan> spans;
  schedule(entries, 64, spans);
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].entry_idx, 0);
  EXPECT_EQ(spans[0].num_rows, 30);
  entries.erase(entries.begin());
  schedule(entries, 46, spans);
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0].num_rows, 40);
  EXPECT_EQ(spans[1].num_rows, 1);
  EXPECT_EQ(spans[2].num_rows, 5);
}

// Random workloads: budgets kept, no entry twice, nothing beyond what is missing, every decode
// served every step, and every prompt finished in a bounded number of steps.
TEST(Scheduler, NeverStarvesNorOverdraws) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const int32_t count = 1 + static_cast<int32_t>(random() % 12);
    const int32_t max_rows = count + static_cast<int32_t>(random() % 40);
    std::vector<SchedulerEntry> entries;
    int64_t missing_rows = 0;
    for (int32_t i = 0; i < count; ++i) {
      const int32_t known = 1 + static_cast<int32_t>(random() % 300);
      entries.push_back({known, static_cast<int32_t>(random() % static_cast<uint32_t>(known))});
      missing_rows += entries.back().num_known - entries.back().num_computed;
    }
    std::vector<ScheduledSpan> spans;
    int64_t steps = 0;
    while (missing_rows > 0) {
      schedule(entries, max_rows, spans);
      std::vector<int32_t> rows(entries.size(), 0);
      int32_t used = 0;
      for (const ScheduledSpan& span : spans) {
        rows[static_cast<size_t>(span.entry_idx)] += span.num_rows;
        used += span.num_rows;
      }
      ASSERT_LE(used, max_rows);
      ASSERT_TRUE(used == max_rows || used == missing_rows);
      for (size_t i = 0; i < entries.size(); ++i) {
        const int32_t missing = entries[i].num_known - entries[i].num_computed;
        ASSERT_LE(rows[i], missing);
        if (missing == 1) {
          ASSERT_EQ(rows[i], 1);
        }
        entries[i].num_computed += rows[i];
      }
      missing_rows -= used;
      ASSERT_LT(++steps, 4000);
    }
  }
}

}  // namespace
}  // namespace ruvllm::engine
