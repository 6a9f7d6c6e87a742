// What this process has in physical memory, by place and by owner.
//
// Read from /proc/self/smaps, which walks the page tables: milliseconds, for reports only.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ruvllm {

// Addresses [begin, end).
struct MemoryRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;

  static MemoryRange of(const void* data, size_t size) {
    const auto begin = reinterpret_cast<uintptr_t>(data);
    return {begin, begin + size};
  }
  bool contains(const MemoryRange& other) const { return begin <= other.begin && other.end <= end; }
};

enum class RegionKind : uint8_t {
  kAnonymous,
  kHeap,   // of the program break
  kStack,  // of the main thread
  kFile,   // mapped files, and the zeroed data that the loader puts behind them
};

// A mapping of the process, as the kernel keeps it.
struct MemoryRegion {
  MemoryRange range;
  RegionKind kind = RegionKind::kAnonymous;
  uint64_t resident = 0;  // bytes
};

// Empty where there is no /proc.
std::vector<MemoryRegion> process_memory_map();
// The same from the text of /proc/self/smaps.
std::vector<MemoryRegion> parse_memory_map(std::string_view smaps);

struct HeapUse {
  uint64_t in_use = 0;  // bytes of blocks that are allocated
  uint64_t taken = 0;   // bytes that the allocator has from the system, free blocks included
};
// Of malloc, over all threads; zeros where the allocator does not say.
HeapUse heap_use();

}  // namespace ruvllm
