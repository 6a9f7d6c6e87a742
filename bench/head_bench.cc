// What a head adapter and a trace cost a decoding sequence, in the step loop.
//
//   head/rows:R/states:S/traced:T     one sequence whose adapter has R rows and S states of
//                                     memory, all but 256 of them sealed
//
// Every iteration decodes the same tokens once without and once with them: of_base is the speed
// that is left, us_per_token what the head took of a token's time by itself, tracing excluded. The
// model is that of e2e_bench.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "engine/heads/head_testing.h"
#include "engine/step_loop.h"
#include "formats/gguf/gguf.h"
#include "model/model.h"
#include "support/harness.h"
#include "support/random_model.h"

namespace ruvllm::bench {
namespace {

using engine::SequenceRequest;

struct Served {
  ModelFile file;
  std::unique_ptr<const model::Model> model;
  std::unique_ptr<engine::StepLoop> loop;
};

// One model for all benchmarks; its destructor removes a file of ours.
Served& shared() {
  static Served served;
  return served;
}

Status open(const Setup& setup) {
  Served& served = shared();
  RUVLLM_TRY(served.file.open(setup, "head_bench"));
  RUVLLM_ASSIGN(formats::GgufFile file, formats::GgufFile::open(served.file.path()));
  RUVLLM_ASSIGN(served.model, model::Model::load(std::move(file), *setup.device,
                                                 {.weight_form = model::WeightForm::kPacked}));
  RUVLLM_ASSIGN(served.loop,
                engine::StepLoop::create(*served.model, *setup.device, {.context_length = 512}));
  return {};
}

struct Times {
  double all_s = 0;
  double head_s = 0;
};

Result<Times> decode(SequenceRequest request) {
  RUVLLM_ASSIGN(const auto channel, shared().loop->submit(std::move(request)));
  for (events::TokenEvent event; event.end == events::EndReason::kNone;) {
    channel->ring.pop_wait(event);
  }
  const engine::SequenceResult& result = channel->result;
  return Times{static_cast<double>(result.decode_us + result.sampling_us + result.lora_us) / 1e6,
               static_cast<double>(result.lora_us) / 1e6};
}

struct Case {
  int32_t num_rows;
  int32_t num_states;
  bool is_traced;
};

void run(benchmark::State& state, const Setup& setup, const Case& of) {
  const model::ModelConfig& config = shared().model->config();
  const uint32_t num_tokens = setup.tiny ? 4 : 16;
  SequenceRequest request;
  for (int32_t i = 0; i < 16; ++i) request.prompt.push_back(i * 37 % config.vocab_size);
  request.max_tokens = num_tokens;
  request.hedge_tokens = 0;  // the prompt is not measured
  request.sampling.temperature = 0;
  SequenceRequest learned = request;
  if (of.num_rows + of.num_states > 0) {
    learned.head = engine::make_head({.hidden_dim = config.hidden_dim,
                                      .vocab_size = config.vocab_size,
                                      .num_rows = of.num_rows,
                                      .num_states = of.num_states,
                                      .num_fast_heads = 1,
                                      .num_sealed = std::max(of.num_states - 256, 0)});
  }
  double with = 0, without = 0, head = 0;
  for (auto _ : state) {
    if (of.is_traced) {
      learned.trace = std::make_shared<events::Trace>(
          events::TraceShape{.capacity = static_cast<int32_t>(num_tokens),
                             .hidden_dim = config.hidden_dim,
                             .max_rows = of.num_rows});
    }
    const auto base = decode(request), adapted = decode(learned);
    if (!base) return fail_benchmark(state, base.error());
    if (!adapted) return fail_benchmark(state, adapted.error());
    without += base->all_s;
    with += adapted->all_s;
    head += adapted->head_s;
    state.SetIterationTime(adapted->all_s);
  }
  const double tokens = static_cast<double>(state.iterations()) * num_tokens;
  state.counters["tok_s"] = tokens / with;
  state.counters["of_base"] = without / with;
  state.counters["us_per_token"] = 1e6 * head / tokens;
}

void add(const Setup& setup) {
  if (const Status ready = open(setup); !ready) {
    std::fprintf(stderr, "head_bench: %s\n", ready.error().message().c_str());
    return;
  }
  const int32_t rows = setup.tiny ? 40 : 1024, states = setup.tiny ? 600 : 4096;
  for (const Case of : {Case{rows, 0, false}, Case{rows, states, false}, Case{rows, states, true},
                        Case{0, 0, true}}) {
    add_benchmark(fmt::format("head/rows:{}/states:{}/traced:{}", of.num_rows, of.num_states,
                              of.is_traced ? 1 : 0),
                  [&setup, of](benchmark::State& state) { run(state, setup, of); })
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace ruvllm::bench

int main(int argc, char** argv) {
  return ruvllm::bench::run_benchmarks(argc, argv, ruvllm::bench::add);
}
