// How the processors that we may use hang together: cores, hardware threads, kinds, memory nodes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/system/cpu_info.h"

namespace ruvllm {

struct CpuTopology {
  std::string source;                     // "hwloc", "/sys" or "none"
  uint32_t num_processors = 1;            // hardware threads that we may use
  uint32_t num_cores = 1;                 // physical cores among them
  uint32_t num_fast_cores = 1;            // of the most capable kind; all where there is one kind
  uint32_t num_packages = 1;              // sockets
  uint32_t num_memory_nodes = 1;          // with processors of ours
  std::vector<uint32_t> fast_processors;  // hardware threads of the fast cores, ascending

  bool is_hybrid() const { return num_fast_cores < num_cores; }
  // One a fast core, within the quota: a second hardware thread of a core adds nothing to products
  // that keep its units busy, and the slowest kind of core would set the pace.
  uint32_t num_threads(const CpuAllowance& allowance) const {
    return std::max(1u, std::min(num_fast_cores, allowance.num_threads()));
  }
};

}  // namespace ruvllm
