#include "events/trajectory.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace ruvllm::events {
namespace {

std::shared_ptr<Trajectory> numbered(int number) {
  auto trajectory = std::make_shared<Trajectory>();
  trajectory->response_id = std::to_string(number);
  trajectory->tokens = {number};
  return trajectory;
}

TEST(TrajectoryRingTest, KeepsTheOldestAndCountsWhatIsLost) {
  TrajectoryRing ring(4);
  EXPECT_EQ(ring.pop(), nullptr);
  for (int i = 0; i < 7; ++i) ring.push(numbered(i));
  EXPECT_EQ(ring.num_dropped(), 3u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ring.pop()->response_id, std::to_string(i));
  EXPECT_EQ(ring.pop(), nullptr);
  ring.push(numbered(9));
  EXPECT_EQ(ring.pop()->response_id, "9");
}

TEST(TrajectoryRingTest, WhatWasTakenOrDroppedIsNotHeldBack) {
  TrajectoryRing ring(1);
  auto first = numbered(1), second = numbered(2);
  ring.push(first);
  ring.push(second);
  EXPECT_EQ(second.use_count(), 1);
  EXPECT_EQ(ring.pop(), first);
  EXPECT_EQ(first.use_count(), 1);
}

TEST(TrajectoryRingTest, NothingIsLostUncountedBetweenTwoThreads) {
  constexpr int kCount = 20000;
  TrajectoryRing ring(8);
  std::atomic<bool> done{false};
  std::thread producer([&] {
    for (int i = 0; i < kCount; ++i) ring.push(numbered(i));
    done = true;
  });
  int last = -1, num_taken = 0;
  for (;;) {
    const bool was_done = done;
    const std::shared_ptr<Trajectory> taken = ring.pop();
    if (taken == nullptr) {
      if (was_done) break;
      std::this_thread::yield();
      continue;
    }
    ++num_taken;
    EXPECT_GT(taken->tokens.front(), last);
    last = taken->tokens.front();
  }
  producer.join();
  EXPECT_EQ(static_cast<uint64_t>(num_taken) + ring.num_dropped(), uint64_t{kCount});
}

}  // namespace
}  // namespace ruvllm::events
