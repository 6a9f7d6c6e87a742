// The machine's read bandwidth as the engine's threads can use it.
#pragma once

#include "base/core/error.h"
#include "base/threads/thread_team.h"

namespace ruvllm::api {

// Best of several passes over memory much larger than the caches, GB/s (1e9 bytes).
Result<double> measure_read_bandwidth(ThreadTeam& team);

}  // namespace ruvllm::api
