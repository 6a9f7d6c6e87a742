// What the benchmarks share: options, the device, the measured limits, and figures beside them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/core/error.h"
#include "base/system/clock.h"
#include "base/threads/thread_team.h"
#include "device/cpu_device.h"
#include "support/peaks.h"

namespace ruvllm::bench {

struct Setup {
  uint32_t num_threads = 0;  // --threads=N; 0: what affinity and quota allow
  std::string isa;           // --isa=NAME; "": the best one here
  bool tiny = false;         // --tiny: few small cases, to see that all of them still run
  std::string model;         // --model=FILE or RUVLLM_BENCH_MODEL, for end-to-end benchmarks
  std::string shape;         // --shape=NAME: of the model that is written where none is named
  std::string type;          // --type=NAME: of its weights
  std::unique_ptr<device::CpuDevice> device;
  Peaks peaks;
};

// Reads the options above and Google Benchmark's, measures the limits, lets `add` register
// benchmarks, runs them. The limits are in the context of the output. Returns the exit status.
int run_benchmarks(int argc, char** argv, void (*add)(const Setup& setup));

// Longest processor time of the team's threads in body(worker), in seconds: the time of other
// programs does not count, work that others of the team took over does.
template <typename Body>
double team_seconds(ThreadTeam& team, Body&& body) {
  std::vector<uint64_t> spent(team.num_threads());
  team.run([&](ThreadTeam::Worker& worker) {
    const uint64_t begin = thread_cpu_ns();
    body(worker);
    spent[worker.index()] = thread_cpu_ns() - begin;
  });
  return static_cast<double>(*std::ranges::max_element(spent)) / 1e9;
}

enum class Arithmetic : uint8_t { kInt8, kFloat };

// What one iteration does.
struct Work {
  double multiply_adds = 0.0;
  Arithmetic arithmetic = Arithmetic::kFloat;
  double bytes = 0.0;        // of memory that must be read
  uint32_t num_threads = 0;  // that do it; 0: all of the team
};

// Ends a benchmark that cannot run; run_benchmarks() then returns 1.
void fail_benchmark(benchmark::State& state, const Error& error);

// Adds GMAC/s, of_peak, GB/s and of_bandwidth to a benchmark with manual time.
void report_work(benchmark::State& state, const Setup& setup, const Work& work);

// A benchmark with manual time that is shown in microseconds.
template <typename Body>
benchmark::internal::Benchmark* add_benchmark(const std::string& name, Body body) {
  return benchmark::RegisterBenchmark(name.c_str(), std::move(body))
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace ruvllm::bench
