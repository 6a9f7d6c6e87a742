#include "base/threads/thread_team.h"

#include <atomic>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

class ThreadTeamTest : public testing::TestWithParam<uint32_t> {};

TEST_P(ThreadTeamTest, EveryIndexIsHandledOnce) {
  ThreadTeam team(GetParam());
  for (const int64_t total : {0, 1, 7, 1000}) {
    std::vector<std::atomic<int>> hits(static_cast<size_t>(total));
    team.run([&](ThreadTeam::Worker& worker) {
      worker.for_chunks(total, 3, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
      });
      worker.barrier();
    });
    for (const auto& hit : hits) EXPECT_EQ(hit.load(), 1);
  }
}

// Each round reads what all threads wrote in the round before; a barrier that lets one slip past
// gives a wrong sum (and a data race for the thread sanitizer).
TEST_P(ThreadTeamTest, BarriersOrderRounds) {
  ThreadTeam team(GetParam());
  constexpr int kCells = 64;
  std::vector<int64_t> current(kCells, 1), next(kCells, 0);
  int64_t serial_runs = 0;
  team.run([&](ThreadTeam::Worker& worker) {
    for (int round = 0; round < 200; ++round) {
      worker.for_chunks(kCells, 1, [&](int64_t begin, int64_t) {
        const size_t i = static_cast<size_t>(begin);
        next[i] = (current[i] + current[(i + 1) % kCells]) % 1009;
      });
      worker.barrier([&] {
        current.swap(next);
        ++serial_runs;
      });
    }
  });
  EXPECT_EQ(serial_runs, 200);
  std::vector<int64_t> expected(kCells, 1), scratch(kCells, 0);
  for (int round = 0; round < 200; ++round) {
    for (size_t i = 0; i < kCells; ++i) {
      scratch[i] = (expected[i] + expected[(i + 1) % kCells]) % 1009;
    }
    expected.swap(scratch);
  }
  EXPECT_EQ(current, expected);
}

// While one thread is busy the others finish their idle work, and no step of it follows its end.
TEST_P(ThreadTeamTest, IdleWorkRunsWhileOthersAreBusy) {
  constexpr int kSteps = 5;
  ThreadTeam team(GetParam());
  const uint32_t num_others = GetParam() - 1;
  std::atomic<uint32_t> finished{0};
  std::atomic<int> steps_after_end{0};
  bool serial_ran = false;
  team.run([&](ThreadTeam::Worker& worker) {
    if (worker.index() == 0) {
      while (finished.load() < num_others) {
      }
    }
    int left = kSteps;
    worker.barrier([&] { serial_ran = true; },
                   [&] {
                     if (--left < 0) ++steps_after_end;
                     if (left == 0) ++finished;
                     return left > 0;
                   });
  });
  EXPECT_EQ(finished.load(), num_others);
  EXPECT_EQ(steps_after_end.load(), 0);
  EXPECT_TRUE(serial_ran);
}

TEST_P(ThreadTeamTest, RunsManyTimesAlsoAfterSleeping) {
  ThreadTeam team(GetParam());
  std::atomic<int> calls{0};
  for (int i = 0; i < 50; ++i) {
    team.run([&](ThreadTeam::Worker&) { ++calls; });
    if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  EXPECT_EQ(calls.load(), 50 * static_cast<int>(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadTeamTest, testing::Values(1u, 2u, 3u, 8u));

}  // namespace
}  // namespace ruvllm
