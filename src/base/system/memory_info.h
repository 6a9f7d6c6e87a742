// Memory of the machine, of our cgroup and of this process, in bytes.
#pragma once

#include <cstdint>

namespace ruvllm {

struct MemoryInfo {
  uint64_t total = 0;
  uint64_t available = 0;     // the kernel's estimate, before the cgroup's limit
  uint64_t cgroup_limit = 0;  // 0: none
  // What we may still take: available, less where the cgroup leaves less.
  uint64_t budget = 0;
};
MemoryInfo memory_info();

uint64_t process_resident_bytes();
uint64_t process_peak_resident_bytes();

}  // namespace ruvllm
