#include "base/threads/spsc_ring.h"

#include <thread>

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

TEST(SpscRing, IsBoundedAndOrdered) {
  SpscRing<int> ring(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(i));
  EXPECT_EQ(ring.free_slots(), 0u);
  EXPECT_FALSE(ring.push(4));
  int value = -1;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.pop(value));
    EXPECT_EQ(value, i);
  }
  EXPECT_FALSE(ring.pop(value));
}

TEST(SpscRing, CarriesEverythingBetweenThreads) {
  SpscRing<int> ring(8);
  constexpr int kCount = 100'000;
  std::thread producer([&] {
    for (int i = 0; i < kCount; ++i) {
      while (!ring.push(i)) std::this_thread::yield();
    }
  });
  int mismatches = 0;
  for (int i = 0; i < kCount; ++i) {
    int value = -1;
    ring.pop_wait(value);
    mismatches += value != i ? 1 : 0;
  }
  producer.join();
  EXPECT_EQ(mismatches, 0);
}

}  // namespace
}  // namespace ruvllm
