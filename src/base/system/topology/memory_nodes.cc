#include "base/system/topology/memory_nodes.h"

#include <array>
#include <climits>
#include <cstdint>
#include <vector>

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/system/proc_files.h"
#include "base/system/topology/cpu_topology.h"

namespace ruvllm {

void interleave_over_nodes(const MemoryRange& range) {
  constexpr uint32_t kMostNodes = 1024, kBits = sizeof(unsigned long) * CHAR_BIT;
  const std::vector<uint32_t> nodes =
      parse_processor_list(read_small_file("/sys/devices/system/node/has_memory"));
  if (nodes.size() < 2 || range.begin == range.end) return;
  std::array<unsigned long, kMostNodes / kBits> mask{};
  for (const uint32_t node : nodes) {
    if (node < kMostNodes) mask[node / kBits] |= 1ul << (node % kBits);
  }
  ::syscall(SYS_mbind, range.begin, range.end - range.begin, MPOL_INTERLEAVE, mask.data(),
            kMostNodes, 0);
}

}  // namespace ruvllm
