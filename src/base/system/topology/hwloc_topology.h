// The only door to hwloc.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/core/error.h"
#include "base/system/topology/topology.h"

namespace ruvllm {

// Of this machine if `description` is empty, else of a synthetic topology or XML. `allowed`: as in
// describe_topology(). kUnsupported if hwloc is not there, or does not know of cores.
Result<CpuTopology> read_hwloc_topology(const std::string& description,
                                        std::span<const uint32_t> allowed);

}  // namespace ruvllm
