#include "engine/scheduling/scheduler.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ruvllm::engine {
namespace {

// The plan for limits of rows alone, with all pages in the world.
std::vector<ScheduledSpan> spans_of(const std::vector<SchedulerEntry>& entries, int32_t max_rows) {
  StepPlan plan;
  schedule(entries, {.max_rows = max_rows}, {}, plan);
  EXPECT_EQ(plan.victim, -1);
  return plan.spans;
}

StepPlan plan_of(const std::vector<SchedulerEntry>& entries, const StepLimits& limits,
                 const PageBudget& pages = {}) {
  StepPlan plan;
  schedule(entries, limits, pages, plan);
  return plan;
}

PageBudget free_pages(int64_t count) { return {.free = {count, 0}}; }

std::vector<int32_t> entries_of(const StepPlan& plan) {
  std::vector<int32_t> out;
  for (const ScheduledSpan& span : plan.spans) out.push_back(span.entry_idx);
  return out;
}

// One a sequence, each older than those after it.
std::vector<SchedulerEntry> in_order_of_arrival(std::vector<SchedulerEntry> entries) {
  for (size_t i = 0; i < entries.size(); ++i) entries[i].arrival = i;
  return entries;
}

TEST(Scheduler, DecodesComeBeforePrompts) {
  const std::vector<SchedulerEntry> entries =
      in_order_of_arrival({{10, 9}, {100, 0}, {50, 20}, {7, 6, true}});
  std::vector<ScheduledSpan> spans = spans_of(entries, 64);
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0].entry_idx, 0);
  EXPECT_EQ(spans[0].num_rows, 1);
  EXPECT_EQ(spans[1].entry_idx, 2);  // the prompt that is begun comes first
  EXPECT_EQ(spans[1].num_rows, 30);
  EXPECT_EQ(spans[2].entry_idx, 1);
  EXPECT_EQ(spans[2].num_rows, 33);
}

TEST(Scheduler, DraftsHaveWhatRoomTheDecodesLeave) {
  std::vector<SchedulerEntry> entries =
      in_order_of_arrival({{10, 9}, {20, 19}, {30, 29}, {40, 39, true}});
  for (SchedulerEntry& entry : entries) entry.num_drafts = 4;
  std::vector<ScheduledSpan> spans = spans_of(entries, 64);
  ASSERT_EQ(spans.size(), 3u);
  for (const ScheduledSpan& span : spans) EXPECT_EQ(span.num_rows, 5);
  spans = spans_of(entries, 9);  // six beside the three decodes
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0].num_rows, 5);
  EXPECT_EQ(spans[1].num_rows, 3);
  EXPECT_EQ(spans[2].num_rows, 1);
  spans = spans_of(entries, 2);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].num_rows + spans[1].num_rows, 2);
}

// In order of arrival, short ones too, so that none waits for ever.
TEST(Scheduler, WholeEntriesRunInOneStepOrWait) {
  std::vector<SchedulerEntry> entries = in_order_of_arrival({{30, 0}, {40, 0}, {1, 0}, {5, 0}});
  for (SchedulerEntry& entry : entries) entry.whole = true;
  std::vector<ScheduledSpan> spans = spans_of(entries, 64);
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].entry_idx, 0);
  EXPECT_EQ(spans[0].num_rows, 30);
  entries.erase(entries.begin());
  spans = spans_of(entries, 46);
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_EQ(spans[0].num_rows, 40);
  EXPECT_EQ(spans[1].num_rows, 1);
  EXPECT_EQ(spans[2].num_rows, 5);
}

TEST(Scheduler, PromptsGoByPriorityThenBegunThenArrival) {
  std::vector<SchedulerEntry> entries =
      in_order_of_arrival({{40, 0}, {40, 8}, {40, 0}, {40, 8}, {9, 8}});
  entries[2].priority = 1;
  EXPECT_EQ(entries_of(plan_of(entries, {.max_rows = 500})), (std::vector<int32_t>{4, 2, 1, 3, 0}));
}

TEST(Scheduler, EachLimitLimitsWhatItNames) {
  const std::vector<SchedulerEntry> entries =
      in_order_of_arrival({{40, 0}, {40, 0}, {9, 8}, {9, 8}, {9, 8}});
  EXPECT_EQ(entries_of(plan_of(entries, {.max_rows = 100, .max_prefill_sequences = 1})),
            (std::vector<int32_t>{2, 3, 4, 0}));
  EXPECT_EQ(entries_of(plan_of(entries, {.max_rows = 100, .max_decode_rows = 2})),
            (std::vector<int32_t>{2, 3, 0, 1}));
  const StepPlan few_rows = plan_of(entries, {.max_rows = 100, .max_prefill_rows = 10});
  EXPECT_EQ(entries_of(few_rows), (std::vector<int32_t>{2, 3, 4, 0}));
  EXPECT_EQ(few_rows.spans.back().num_rows, 10);
  // Without decodes nobody reads, and nothing is stalled.
  const StepPlan alone = plan_of({{40, 0}}, {.max_rows = 100, .max_prefill_rows = 10});
  EXPECT_EQ(alone.spans.back().num_rows, 40);
}

TEST(Scheduler, WhoeverWaitsForADecodeRowOrAnAdapterHasHisTurn) {
  std::vector<SchedulerEntry> entries =
      in_order_of_arrival({{9, 8}, {9, 8}, {9, 8}, {9, 8}, {9, 8}, {9, 8}, {40, 0}});
  for (size_t i = 0; i < entries.size(); ++i) entries[i].adapter = static_cast<int32_t>(i / 2) - 1;
  for (const StepLimits limits : {StepLimits{.max_rows = 64, .max_decode_rows = 2},
                                  StepLimits{.max_rows = 64, .max_adapters = 1},
                                  StepLimits{.max_rows = 64, .max_adapters = 2}}) {
    std::vector<int32_t> served(entries.size(), 0);
    for (SchedulerEntry& entry : entries) entry.idle_steps = 0;
    for (int step = 0; step < 12; ++step) {
      for (SchedulerEntry& entry : entries) ++entry.idle_steps;
      std::vector<int32_t> adapters;
      for (const int32_t idx : entries_of(plan_of(entries, limits))) {
        ++served[static_cast<size_t>(idx)];
        entries[static_cast<size_t>(idx)].idle_steps = 0;
        const int32_t adapter = entries[static_cast<size_t>(idx)].adapter;
        if (adapter >= 0 && std::ranges::find(adapters, adapter) == adapters.end()) {
          adapters.push_back(adapter);
        }
      }
      if (limits.max_adapters > 0) {
        EXPECT_LE(std::ssize(adapters), limits.max_adapters);
      }
    }
    EXPECT_GE(*std::ranges::min_element(served), 4);
  }
}

TEST(Scheduler, WhoFindsNoPageTakesThoseOfTheLowest) {
  // Each needs a page for its next token.
  std::vector<SchedulerEntry> entries =
      in_order_of_arrival({{33, 32}, {65, 64}, {33, 32}, {33, 32}});
  EXPECT_EQ(plan_of(entries, {.max_rows = 64}, free_pages(4)).spans.size(), 4u);
  const StepPlan short_by_one = plan_of(entries, {.max_rows = 64}, free_pages(3));
  EXPECT_EQ(short_by_one.victim, -1);  // the lowest is the one that finds none: it waits
  EXPECT_EQ(entries_of(short_by_one), (std::vector<int32_t>{0, 1, 2}));
  const StepPlan none = plan_of(entries, {.max_rows = 64}, free_pages(0));
  EXPECT_EQ(none.victim, 3);
  EXPECT_TRUE(none.spans.empty());
  entries[1].priority = -1;
  EXPECT_EQ(plan_of(entries, {.max_rows = 64}, free_pages(0)).victim, 1);
  // To one whose reader is behind pages are of no use, but only if there is no lower one.
  entries[0].blocked = true;
  EXPECT_EQ(plan_of(entries, {.max_rows = 64}, free_pages(0)).victim, 1);
  entries = {entries[0], entries[2]};
  EXPECT_EQ(plan_of(entries, {.max_rows = 64}, free_pages(0)).victim, 0);
}

TEST(Scheduler, PromptsTakeAsManyRowsAsThereArePagesFor) {
  const StepPlan plan = plan_of({{300, 40}}, {.max_rows = 512}, free_pages(3));
  ASSERT_EQ(plan.spans.size(), 1u);
  EXPECT_EQ(plan.spans[0].num_rows, 160 - 40);
  // Drafts go without before anybody yields.
  std::vector<SchedulerEntry> decodes = in_order_of_arrival({{31, 30}, {31, 30}});
  for (SchedulerEntry& entry : decodes) entry.num_drafts = 5;
  for (const ScheduledSpan& span : plan_of(decodes, {.max_rows = 512}, free_pages(0)).spans) {
    EXPECT_EQ(span.num_rows, 1);
  }
}

TEST(Scheduler, CountsThePagesOfBothTiers) {
  PageBudget pages{.has_store = true, .tiers = {.tail_tokens = 32, .batch_tokens = 32}};
  // Tokens 0 to 99: the last one reads pages 1 and on up to its tail from the store.
  EXPECT_EQ(pages.growth(0, 100).half, 4);
  EXPECT_EQ(pages.growth(0, 100).stored, 1);
  EXPECT_EQ(pages.held(100).half, 3);
  EXPECT_EQ(pages.held(100).stored, 1);
  pages.free = {10, 0};
  const StepPlan plan = plan_of({{100, 60}}, {.max_rows = 512}, pages);
  ASSERT_EQ(plan.spans.size(), 1u);
  EXPECT_EQ(plan.spans[0].num_rows, 4);  // shortened to a page's end, where nothing is stored yet
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
      entries.back().arrival = static_cast<uint64_t>(i);
      missing_rows += entries.back().num_known - entries.back().num_computed;
    }
    std::vector<ScheduledSpan> spans;
    int64_t steps = 0;
    while (missing_rows > 0) {
      spans = spans_of(entries, max_rows);
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
