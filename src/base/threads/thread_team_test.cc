#include "base/threads/thread_team.h"

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>

#include "base/system/cpu_info.h"

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
  std::atomic<int> pieces{0};
  for (int i = 0; i < 50; ++i) {
    std::atomic<int> inside{0};
    team.run([&](ThreadTeam::Worker& worker) {
      ++inside;
      worker.for_chunks(10, 1, [&](int64_t, int64_t) { ++pieces; });
      --inside;
    });
    EXPECT_EQ(inside.load(), 0);  // `inside` is about to go
    if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  EXPECT_EQ(pieces.load(), 500);
}

// The others stay away from phase 0's end to the last phase but one: the caller does all that comes
// meanwhile, and they skip it.
TEST_P(ThreadTeamTest, DoesNotWaitForThreadsThatAreAway) {
  constexpr int kPhases = 100;
  ThreadTeam team(GetParam());
  const uint32_t num_others = GetParam() - 1;
  std::atomic<uint32_t> away{0};
  std::atomic<bool> done{false};
  std::atomic<int> by_others{0};
  std::vector<int> hits(kPhases, 0);
  team.run([&](ThreadTeam::Worker& worker) {
    const bool is_caller = worker.index() == 0;
    if (is_caller) {
      while (away.load() < num_others) std::this_thread::yield();
    }
    bool was_away = false;
    worker.barrier([] {},
                   [&] {
                     if (is_caller) return false;
                     if (!was_away) ++away;
                     was_away = true;
                     while (!done.load()) std::this_thread::yield();
                     return false;
                   });
    for (int phase = 0; phase < kPhases; ++phase) {
      worker.for_chunks(1, 1, [&](int64_t, int64_t) {
        ++hits[static_cast<size_t>(phase)];
        if (!is_caller) ++by_others;
      });
      worker.barrier([&] { done = phase == kPhases - 1; });
    }
  });
  EXPECT_EQ(hits, std::vector<int>(kPhases, 1));
  EXPECT_EQ(by_others.load(), 0);
}

// Threads that come and go at all times: each phase's work is done once, from what the one before
// it left.
TEST_P(ThreadTeamTest, LateThreadsChangeNothing) {
  ThreadTeam team({.num_threads = GetParam(), .spin_ns = 1});  // sleeps at every barrier
  constexpr int kCells = 16, kPhases = 60;
  std::vector<int64_t> current(kCells, 1), next(kCells, 0);
  team.run([&](ThreadTeam::Worker& worker) {
    for (int phase = 0; phase < kPhases; ++phase) {
      worker.for_chunks(kCells, 1, [&](int64_t begin, int64_t) {
        const size_t i = static_cast<size_t>(begin);
        next[i] = current[i] + current[(i + 1) % kCells];
        if ((begin + phase) % 13 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
      });
      worker.barrier([&] {
        current.swap(next);
        for (int64_t& value : current) value %= 1009;
      });
      worker.barrier();
    }
  });
  EXPECT_EQ(team.num_phases(), 2u * kPhases + 1);
  std::vector<int64_t> expected(kCells, 1);
  for (int phase = 0; phase < kPhases; ++phase) {
    const std::vector<int64_t> before = expected;
    for (size_t i = 0; i < kCells; ++i) expected[i] = (before[i] + before[(i + 1) % kCells]) % 1009;
  }
  EXPECT_EQ(current, expected);
}

TEST(ThreadTeam, SpinsLessWhereThreadsShareProcessors) {
  const uint32_t processors = cpu_allowance().num_threads();
  EXPECT_LT(ThreadTeam(processors + 1).spin_ns(), ThreadTeam(processors).spin_ns());
  EXPECT_EQ(ThreadTeam({.num_threads = 2, .spin_ns = 7}).spin_ns(), 7u);
}

TEST(ThreadTeam, ThreadsStayOnTheirProcessors) {
  const std::vector<uint32_t> allowed = allowed_processors();
  ThreadTeam team({.num_threads = 3, .processors = {allowed.back()}});
  std::atomic<int> strays{0};
  for (int i = 0; i < 20; ++i) {
    team.run([&](ThreadTeam::Worker& worker) {
      if (worker.index() == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
      if (worker.index() != 0 && sched_getcpu() != static_cast<int>(allowed.back())) ++strays;
    });
  }
  EXPECT_EQ(strays.load(), 0);
  EXPECT_EQ(allowed_processors(), allowed);  // the caller's own are left alone
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadTeamTest, testing::Values(1u, 2u, 3u, 8u));

}  // namespace
}  // namespace ruvllm
