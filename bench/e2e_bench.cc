// Whole models through the public engine, as `ruvllm bench` measures them.
//
//   e2e/prefill/TOKENS
//   e2e/decode/batch:B/depth:D      tok_s: of all sequences together
//
// The model is --model=FILE (or RUVLLM_BENCH_MODEL), or one of random weights
// (support/random_model.h).
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "api/models/checkpoint/open_model.h"
#include "base/core/error.h"
#include "support/harness.h"
#include "support/random_model.h"
#include <ruvllm/engine.h>

namespace ruvllm::bench {
namespace {

struct Model {
  ModelFile file;
  std::unique_ptr<Engine> engine;
  double prefill_multiply_adds = 0.0;  // of the layers' matrices, a token
  double decode_bytes = 0.0;           // of weights that a step reads
};

Status count_work(Model& model) {
  RUVLLM_ASSIGN(const api::OpenedModel opened,
                api::open_model(model.file.path(), api::OpenScope::kLayout));
  const bool has_output = opened.file.find_tensor("output.weight") != nullptr;
  for (const formats::GgufTensor& tensor : opened.file.tensors()) {
    const bool is_matrix = tensor.dims[1] > 1;
    if (is_matrix && tensor.name.starts_with("blk.")) {
      model.prefill_multiply_adds += static_cast<double>(tensor.dims[0]) *
                                     static_cast<double>(tensor.dims[1] * tensor.dims[2]);
    }
    if (has_output && tensor.name == "token_embd.weight") continue;
    model.decode_bytes += static_cast<double>(tensor.data.size());
  }
  return {};
}

Status open(const Setup& setup, uint32_t context, uint32_t max_batch, Model& model) {
  RUVLLM_TRY(model.file.open(setup, "e2e_bench"));
  RUVLLM_TRY(count_work(model));
  EngineOptions options;
  options.model_path = model.file.path();
  options.num_threads = setup.num_threads;
  options.cpu_isa = setup.device->isa();
  options.context_length = context;
  options.max_sequences = max_batch;
  options.weights = WeightForm::kPacked;
  RUVLLM_ASSIGN(model.engine, Engine::create(options));
  return {};
}

// One model for all benchmarks; its destructor removes a file of ours.
Model& shared_model() {
  static Model model;
  return model;
}

void run_prefill(benchmark::State& state, const Setup& setup, uint32_t num_tokens) {
  BenchOptions options;
  options.prompt_tokens = num_tokens;
  options.generated_tokens = 0;
  options.repetitions = 1;
  for (auto _ : state) {
    const auto report = shared_model().engine->benchmark(options);
    if (!report) return fail_benchmark(state, report.error());
    state.SetIterationTime(num_tokens / report->prefill_tok_s);
  }
  report_work(state, setup,
              {.multiply_adds = shared_model().prefill_multiply_adds * num_tokens,
               .arithmetic = Arithmetic::kInt8});
  state.counters["tok_s"] =
      benchmark::Counter(num_tokens, benchmark::Counter::kIsIterationInvariantRate);
}

void run_decode(benchmark::State& state, const Setup& setup, uint32_t batch, uint32_t depth) {
  BenchOptions options;
  options.prompt_tokens = 0;
  options.generated_tokens = setup.tiny ? 4 : 32;
  options.batch_sizes = {batch};
  options.depth = depth;
  options.repetitions = 1;
  for (auto _ : state) {
    const auto report = shared_model().engine->benchmark(options);
    if (!report) return fail_benchmark(state, report.error());
    state.SetIterationTime(batch / report->decode[0].tok_s);  // a step
  }
  report_work(state, setup, {.bytes = shared_model().decode_bytes});
  state.counters["tok_s"] =
      benchmark::Counter(batch, benchmark::Counter::kIsIterationInvariantRate);
}

void add(const Setup& setup) {
  const std::vector<uint32_t> prompts =
      setup.tiny ? std::vector<uint32_t>{16} : std::vector<uint32_t>{128, 512, 2048};
  const std::vector<uint32_t> depths =
      setup.tiny ? std::vector<uint32_t>{8} : std::vector<uint32_t>{0, 512, 1024};
  const std::vector<uint32_t> batches =
      setup.tiny ? std::vector<uint32_t>{1, 2} : std::vector<uint32_t>{1, 2, 4, 8};
  const uint32_t context = setup.tiny ? 64 : 2048 + 8;
  if (const Status ready = open(setup, context, batches.back(), shared_model()); !ready) {
    std::fprintf(stderr, "e2e_bench: %s\n", ready.error().message().c_str());
    return;
  }
  // Every iteration has a warm-up of its own, which does not count but takes time.
  const auto add_slow = [](const std::string& name, auto body) {
    add_benchmark(name, std::move(body))->Unit(benchmark::kMillisecond)->Iterations(1);
  };
  for (const uint32_t tokens : prompts) {
    add_slow(fmt::format("e2e/prefill/{}", tokens),
             [&setup, tokens](benchmark::State& state) { run_prefill(state, setup, tokens); });
  }
  for (const uint32_t depth : depths) {
    for (const uint32_t batch : batches) {
      add_slow(fmt::format("e2e/decode/batch:{}/depth:{}", batch, depth),
               [&setup, batch, depth](benchmark::State& state) {
                 run_decode(state, setup, batch, depth);
               });
    }
  }
}

}  // namespace
}  // namespace ruvllm::bench

int main(int argc, char** argv) {
  return ruvllm::bench::run_benchmarks(argc, argv, ruvllm::bench::add);
}
