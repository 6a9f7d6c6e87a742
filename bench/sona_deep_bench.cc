// What the deep loop does to serving, and what serving leaves of it.
//
//   sona_deep/serving:alone      answers one after the other, with pauses as long as each took
//   sona_deep/serving:yielding   the same beside a deep loop that stands back while one runs
//   sona_deep/serving:priority   the same beside one that only has the lower priority
//   sona_deep/training           the deep loop alone, a token
//
// Time is that of a decode step; ms_p50, ms_p99: of the steps of the worst answer; deep_tok_s: of
// the deep loop, over all of the time. The model is --model=FILE (or RUVLLM_BENCH_MODEL), by
// default the bundled one.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/models/checkpoint/open_model.h"
#include "base/core/error.h"
#include "base/numeric/random_stream.h"
#include "base/system/clock.h"
#include "base/threads/start_thread.h"
#include "model/model.h"
#include "sona/deep/loop/deep_loop.h"
#include "support/harness.h"
#include <ruvllm/engine.h>

namespace ruvllm::bench {
namespace {

struct Served {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<const model::Model> trained;  // the same file, for the deep loop
  uint32_t num_requests = 0, answer_tokens = 0;
  sona::DeepSamples samples;
};

Served& served() {
  static Served instance;
  return instance;
}

std::vector<int32_t> random_tokens(size_t count, int32_t vocab, uint64_t seed) {
  const RandomStream random(seed);
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<int32_t>(random.uniform(i) * vocab));
  }
  return tokens;
}

Status open(const Setup& setup) {
  const std::string path =
      setup.model.empty() ? std::string(RUVLLM_SOURCE_DIR) + "/models/demo-q8_0.gguf" : setup.model;
  Served& s = served();
  EngineOptions options;
  options.model_path = path;
  options.num_threads = setup.num_threads;
  options.cpu_isa = setup.device->isa();
  options.context_length = 512;
  RUVLLM_ASSIGN(s.engine, Engine::create(options));
  RUVLLM_ASSIGN(api::OpenedModel opened, api::open_model(path, api::OpenScope::kWeights));
  RUVLLM_ASSIGN(s.trained, model::Model::load(std::move(opened.file), *setup.device));
  s.num_requests = setup.tiny ? 1 : 4;
  s.answer_tokens = setup.tiny ? 8 : 128;
  const int32_t vocab = s.trained->config().vocab_size;
  for (uint64_t i = 0; i < 16; ++i) {
    s.samples.taught.push_back(sona::text_sample(random_tokens(setup.tiny ? 8 : 64, vocab, i)));
  }
  return {};
}

sona::DeepOptions deep_options(const Setup& setup) {
  sona::DeepOptions options;
  options.validation_share = options.test_share = 0.0;
  options.max_steps = setup.tiny ? 1 : 1'000'000;
  options.cpu_isa = setup.device->isa();
  return options;
}

// A deep loop on a thread of its own, until it is destroyed.
class Beside {
 public:
  Status start(const Setup& setup, sona::ServingLoad is_busy) {
    const auto options = deep_options(setup);
    RUVLLM_ASSIGN(thread_, start_thread([this, options, busy = std::move(is_busy)] {
                    sona::DeepControl control;
                    control.stop = &stop_;
                    control.is_busy = busy;
                    const auto result =
                        sona::deep_optimize(*served().trained, served().samples, options, control);
                    if (result) num_tokens_ = result->num_tokens;
                  }));
    return {};
  }
  int64_t finish() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return num_tokens_;
  }
  ~Beside() { finish(); }

 private:
  std::atomic<bool> stop_ = false;
  int64_t num_tokens_ = 0;
  std::thread thread_;
};

struct StepTimes {
  double ms_p50 = 0.0, ms_p99 = 0.0;
};

// One answer; `worst` becomes the larger of both.
Status answer(StepTimes& worst) {
  BenchOptions options;
  options.prompt_tokens = 0;
  options.depth = 32;
  options.generated_tokens = served().answer_tokens;
  options.repetitions = 1;
  RUVLLM_ASSIGN(const BenchReport report, served().engine->benchmark(options));
  worst.ms_p50 = std::max(worst.ms_p50, report.decode[0].ms_p50);
  worst.ms_p99 = std::max(worst.ms_p99, report.decode[0].ms_p99);
  return {};
}

enum class Company : uint8_t { kNone, kYielding, kPriority };

void run_serving(benchmark::State& state, const Setup& setup, Company company) {
  StepTimes times;
  for (auto _ : state) {
    std::atomic<bool> serving = false;
    Beside beside;
    if (company != Company::kNone) {
      sona::ServingLoad is_busy;
      if (company == Company::kYielding) is_busy = [&] { return serving.load(); };
      const Status started = beside.start(setup, std::move(is_busy));
      if (!started) return fail_benchmark(state, started.error());
    }
    const uint64_t begin = monotonic_us();
    for (uint32_t i = 0; i < served().num_requests; ++i) {
      const uint64_t request_begin = monotonic_us();
      serving = true;
      const Status answered = answer(times);
      serving = false;
      if (!answered) return fail_benchmark(state, answered.error());
      std::this_thread::sleep_for(std::chrono::microseconds(monotonic_us() - request_begin));
    }
    const auto tokens = static_cast<double>(beside.finish());
    const double seconds = static_cast<double>(monotonic_us() - begin) / 1e6;
    state.counters["deep_tok_s"] = tokens / seconds;
    state.SetIterationTime(times.ms_p50 / 1e3);
  }
  state.counters["ms_p50"] = times.ms_p50;
  state.counters["ms_p99"] = times.ms_p99;
}

void run_training(benchmark::State& state, const Setup& setup) {
  sona::DeepOptions options = deep_options(setup);
  options.max_steps = setup.tiny ? 1 : 6;
  for (auto _ : state) {
    const auto result = sona::deep_optimize(*served().trained, served().samples, options);
    if (!result) return fail_benchmark(state, result.error());
    state.SetIterationTime(1.0 / std::max(result->tokens_per_s, 1e-9));
    state.counters["deep_tok_s"] = result->tokens_per_s;
  }
}

void add(const Setup& setup) {
  if (const Status ready = open(setup); !ready) {
    std::fprintf(stderr, "sona_deep_bench: %s\n", ready.error().message().c_str());
    return;
  }
  for (const auto& [name, company] : {std::pair{"alone", Company::kNone},
                                      {"yielding", Company::kYielding},
                                      {"priority", Company::kPriority}}) {
    add_benchmark(std::string("sona_deep/serving:") + name, [&setup, each = company](
                                                                benchmark::State& state) {
      run_serving(state, setup, each);
    })->Iterations(1);
  }
  add_benchmark("sona_deep/training", [&setup](benchmark::State& state) {
    run_training(state, setup);
  })->Iterations(1);
}

}  // namespace
}  // namespace ruvllm::bench

int main(int argc, char** argv) {
  return ruvllm::bench::run_benchmarks(argc, argv, ruvllm::bench::add);
}
