#include "base/threads/thread_priority.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/threads/thread_team.h"

namespace ruvllm {
namespace {

#if defined(__linux__)
TEST(ThreadPriorityTest, HoldsForTheThreadAndTheTeamThatItStarts) {
  const int before = getpriority(PRIO_PROCESS, 0);
  std::atomic<int> num_lowered = 0, num_seen = 0;
  std::thread([&] {
    ASSERT_TRUE(lower_thread_priority().has_value());
    ThreadTeam team(3);
    // Threads that come late to a run skip its work: ask until each has come.
    std::atomic<uint32_t> seen = 0;
    while (seen != 7) {
      team.run([&](ThreadTeam::Worker& worker) {
        const uint32_t bit = 1u << worker.index();
        if ((seen.fetch_or(bit) & bit) != 0) return;
        ++num_seen;
        if (getpriority(PRIO_PROCESS, 0) == 19) ++num_lowered;
      });
    }
  }).join();
  EXPECT_EQ(num_seen, 3);
  EXPECT_EQ(num_lowered, 3);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), before);
}
#endif

}  // namespace
}  // namespace ruvllm
