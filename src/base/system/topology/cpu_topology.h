// The topology of the processors that we may use, found out by hwloc
// (https://www.open-mpi.org/projects/hwloc/), where it was there at build time and knows the
// machine; else from /sys; else every processor counts as a core.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "base/system/topology/topology.h"

namespace ruvllm {

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
