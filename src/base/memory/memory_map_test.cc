#include "base/memory/memory_map.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/memory/buffer.h"
#include "base/threads/start_thread.h"
#include "base/threads/thread_stack.h"

namespace ruvllm {
namespace {

constexpr const char* kSmaps =
    "5555f000-55560000 r-xp 00000000 fe:00 4242                       /usr/bin/some program\n"
    "Size:                  4 kB\n"
    "Rss:                   4 kB\n"
    "VmFlags: rd ex mr mw me sd\n"
    "55560000-55562000 rw-p 00000000 00:00 0 \n"
    "Rss:                   8 kB\n"
    "55570000-55590000 rw-p 00000000 00:00 0                          [heap]\n"
    "Rss:                 100 kB\n"
    "7f0000000000-7f0000100000 rw-p 00000000 00:00 0 \n"
    "Rss:                 512 kB\n"
    "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                  [stack]\n"
    "Rss:                  16 kB\n"
    "7ffd00030000-7ffd00032000 r-xp 00000000 00:00 0                  [vdso]\n"
    "Rss:                   4 kB\n";

uint64_t resident_within(const MemoryRange& range) {
  uint64_t bytes = 0;
  for (const MemoryRegion& region : process_memory_map()) {
    if (range.contains(region.range)) bytes += region.resident;
  }
  return bytes;
}

TEST(MemoryMap, ReadsRegionsAndTheirKinds) {
  const std::vector<MemoryRegion> regions = parse_memory_map(kSmaps);
  using enum RegionKind;
  const std::vector<std::pair<RegionKind, uint64_t>> expected = {
      {kFile, 4}, {kFile, 8}, {kHeap, 100}, {kAnonymous, 512}, {kStack, 16}, {kFile, 4}};
  ASSERT_EQ(regions.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(regions[i].kind, expected[i].first) << i;
    EXPECT_EQ(regions[i].resident, expected[i].second * 1024) << i;
  }
  EXPECT_EQ(regions[3].range.begin, 0x7f0000000000u);
  EXPECT_EQ(regions[3].range.end, 0x7f0000100000u);
  EXPECT_TRUE(parse_memory_map("").empty());
  EXPECT_TRUE(parse_memory_map("Rss: 5 kB\nnonsense\n12-").empty());
}

TEST(MemoryMap, SeesWhatIsTouchedOfABuffer) {
  constexpr size_t kSize = size_t{8} << 20, kTouched = size_t{3} << 20;
  const Buffer neighbour = *Buffer::allocate(kSize, HugePages::kNo, "test");
  const Buffer buffer = *Buffer::allocate(kSize, HugePages::kNo, "test");
  std::memset(neighbour.data(), 1, kSize);
  EXPECT_EQ(resident_within(buffer.range()), 0u);
  std::memset(buffer.data(), 1, kTouched);
  EXPECT_EQ(resident_within(buffer.range()), kTouched);
}

TEST(MemoryMap, HugeBuffersAreAlignedAndWhole) {
  constexpr size_t kSize = (size_t{5} << 20) + 123;
  const Buffer buffer = *Buffer::allocate(kSize, HugePages::kPrefer, "test");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % (size_t{2} << 20), 0u);
  EXPECT_EQ(buffer.size(), kSize);
  std::memset(buffer.data(), 1, kSize);
  EXPECT_GE(resident_within(buffer.range()), kSize);
}

TEST(BufferDeathTest, WhatRunsOverTheEndIsCaught) {
  const Buffer buffer = *Buffer::allocate(4096, HugePages::kNo, "test");
  const size_t page = buffer.range().end - buffer.range().begin > 8192 ? 65536 : 4096;
  EXPECT_DEATH(std::memset(buffer.data() + page, 1, 1), "");
}

TEST(ThreadStack, IsKnownWhileTheThreadRuns) {
  std::vector<MemoryRange> during;
  uintptr_t frame = 0;
  Result<std::thread> thread = start_thread([&] {
    frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    during = thread_stacks();
  });
  ASSERT_TRUE(thread.has_value());
  thread->join();
  EXPECT_TRUE(std::ranges::any_of(
      during, [&](const MemoryRange& stack) { return stack.begin <= frame && frame < stack.end; }));
  EXPECT_TRUE(thread_stacks().empty());
}

}  // namespace
}  // namespace ruvllm
