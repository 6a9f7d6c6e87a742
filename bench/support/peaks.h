// What this machine can do at most, measured at the start of a benchmark with the same threads, so
// that every figure can stand beside the limit that it has.
#pragma once

#include <string_view>

#include "base/core/error.h"
#include "base/threads/thread_team.h"

namespace ruvllm::bench {

// Of all threads together, a second.
struct Peaks {
  // int8 products that the instruction set's densest instruction can sum up (vpmaddubsw, vpdpbusd,
  // sdot, smmla), and float32 fused multiply-adds: from independent chains in registers, best of
  // several short loops. Nothing else is counted: no widening, no scale, no load.
  double int8_multiply_adds = 0.0;
  double float_multiply_adds = 0.0;
  double read_bytes = 0.0;  // plain reads of memory far larger than the caches
};

// `isa` as device::CpuDevice names it; of one without a loop of its own (the matrix tiles of AMX)
// the loop of the vectors beside it, so that fractions above 1 are possible.
Result<Peaks> measure_peaks(ThreadTeam& team, std::string_view isa);

}  // namespace ruvllm::bench
