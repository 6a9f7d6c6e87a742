// The machine's read bandwidth as the engine's threads can use it.
#pragma once

#include <cstdint>

#include "base/core/error.h"
#include "base/threads/thread_team.h"

namespace ruvllm::api {

enum class BandwidthClock : uint8_t {
  kWall,
  kProcessor,  // the longest processor time of a thread: what other programs take does not count
};

// Best of several passes over memory much larger than the caches, GB/s (1e9 bytes).
Result<double> measure_read_bandwidth(ThreadTeam& team,
                                      BandwidthClock clock = BandwidthClock::kWall);

}  // namespace ruvllm::api
