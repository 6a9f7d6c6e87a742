// Memory of machines with several nodes (NUMA).
#pragma once

#include "base/memory/memory_map.h"

namespace ruvllm {

// Spreads the pages of memory that nobody has touched yet evenly over the nodes, page by page, so
// that threads of all nodes together have the bandwidth of all. Nothing happens where there is one
// node, or the system refuses.
void interleave_over_nodes(const MemoryRange& range);

}  // namespace ruvllm
