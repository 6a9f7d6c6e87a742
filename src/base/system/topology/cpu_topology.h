// How the processors that we may use hang together: cores, hardware threads, kinds, memory nodes.
//
// Found out by hwloc (https://www.open-mpi.org/projects/hwloc/), where it was there at build time
// and knows the machine; else from /sys; else every processor counts as a core.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"
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
  uint32_t num_threads(const CpuAllowance& allowance) const;
};

// Of this process; milliseconds.
CpuTopology cpu_topology();

// Of a description instead of the machine, for tests: hwloc's synthetic form ("pack:2 core:4 pu:2")
// or its XML; `allowed` are the processors that we may use, all if empty. kUnsupported without
// hwloc.
Result<CpuTopology> describe_topology(const std::string& description,
                                      std::span<const uint32_t> allowed);

// Of a folder like /sys, of which `allowed` processors may be used.
CpuTopology read_sys_topology(const std::string& sys_folder, std::span<const uint32_t> allowed);

// Numbers of a list such as "0-3,8"; what is malformed ends it.
std::vector<uint32_t> parse_processor_list(const std::string& list);

}  // namespace ruvllm
