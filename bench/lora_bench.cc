// What adapters add to a decode step of a model: ops::add_lora over all layers and all products.
//
//   lora/SHAPE/rank:R/sequences:N      N sequences decode one token each, everyone with an own
//                                      adapter of rank R for all seven products of a layer
//
// us_per_token is the time of the step over its tokens; compare it with a token's whole time
// (e2e_bench). Adapters are read from memory: float32, as the engine keeps them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "api/models/synth/shapes.h"
#include "base/core/check.h"
#include "base/memory/arena.h"
#include "base/memory/buffer.h"
#include "ops/lora.h"
#include "ops/views.h"
#include "support/harness.h"

namespace ruvllm::bench {
namespace {

using ops::LoraTarget;

// Matrices of all adapters lie one after the other in this and start again at its begin, so that
// dozens of adapters need no more memory than the machine has.
constexpr size_t kPoolFloats = size_t{64} << 20;

std::span<const float> pool(const Setup& setup) {
  static const Buffer buffer = [&] {
    const size_t count = setup.tiny ? size_t{1} << 20 : kPoolFloats;
    Buffer made = Buffer::allocate(count * sizeof(float), HugePages::kPrefer, "adapters").value();
    float* values = reinterpret_cast<float*>(made.data());
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 255) * 0.001f - 0.1f;
    return made;
  }();
  return {reinterpret_cast<const float*>(buffer.data()), buffer.size() / sizeof(float)};
}

struct Dimensions {
  explicit Dimensions(const api::SynthShape& shape)
      : num_layers(static_cast<int32_t>(shape.num_layers)),
        hidden(static_cast<int32_t>(shape.hidden_dim)),
        ffn(static_cast<int32_t>(shape.ffn_dim)),
        q(static_cast<int32_t>(shape.num_heads * shape.head_dim)),
        kv(static_cast<int32_t>(shape.num_kv_heads * shape.head_dim)) {}

  int32_t in_dim(LoraTarget target) const {
    if (target == LoraTarget::kAttnOutput) return q;
    return target == LoraTarget::kDown ? ffn : hidden;
  }
  int32_t out_dim(LoraTarget target) const {
    switch (target) {
      case LoraTarget::kQ:
        return q;
      case LoraTarget::kK:
      case LoraTarget::kV:
        return kv;
      case LoraTarget::kAttnOutput:
      case LoraTarget::kDown:
        return hidden;
      case LoraTarget::kGate:
      case LoraTarget::kUp:
        return ffn;
    }
    return 0;
  }

  int32_t num_layers, hidden, ffn, q, kv;
};

// A set of one adapter of every sequence.
struct Sets {
  Sets(const Setup& setup, const Dimensions& dims, int32_t rank, int32_t num_sets)
      : parts(static_cast<size_t>(num_sets)) {
    const std::span<const float> values = pool(setup);
    size_t next = 0;
    const auto take = [&](int32_t rows, int32_t cols) {
      const size_t count = static_cast<size_t>(rows) * static_cast<size_t>(cols);
      RUVLLM_CHECK(count <= values.size());
      if (next + count > values.size()) next = 0;
      const float* taken = values.data() + next;
      next += count;
      num_floats += count;
      return taken;
    };
    const size_t num_parts = static_cast<size_t>(dims.num_layers) * ops::kNumLoraTargets;
    for (size_t i = 0; i <= num_parts; ++i) begins.push_back(static_cast<uint32_t>(i));
    for (std::vector<ops::LoraPart>& own : parts) {
      for (size_t i = 0; i < num_parts; ++i) {
        const auto target = static_cast<LoraTarget>(i % ops::kNumLoraTargets);
        own.push_back({take(rank, dims.in_dim(target)), take(dims.out_dim(target), rank), rank});
      }
      views.push_back({own.data(), begins.data()});
    }
  }

  std::vector<std::vector<ops::LoraPart>> parts;
  std::vector<uint32_t> begins;
  std::vector<ops::LoraView> views;
  size_t num_floats = 0;  // of all sets
};

// Decode rows, one a sequence.
struct Step {
  Step(const Sets& sets) {
    const auto count = static_cast<int32_t>(sets.views.size());
    for (int32_t i = 0; i < count; ++i) {
      spans.push_back({i, 1, 0, nullptr, &sets.views[static_cast<size_t>(i)]});
      row_spans.push_back(i);
    }
    batch = {count, nullptr, nullptr, count, spans.data(), row_spans.data()};
  }

  std::vector<ops::SpanView> spans;
  std::vector<int32_t> row_spans;
  ops::BatchView batch;
};

// The products of a layer that share their input, as model/decoder calls them.
constexpr std::array kQkv = {LoraTarget::kQ, LoraTarget::kK, LoraTarget::kV};
constexpr std::array kOutput = {LoraTarget::kAttnOutput};
constexpr std::array kGateUp = {LoraTarget::kGate, LoraTarget::kUp};
constexpr std::array kDown = {LoraTarget::kDown};

void run_step(benchmark::State& state, const Setup& setup, const api::SynthShape& shape,
              int32_t rank, int32_t num_sequences) {
  const Dimensions dims(shape);
  const Sets sets(setup, dims, rank, num_sequences);
  const Step step(sets);
  Arena arena;
  ops::LoraScratch scratch;
  scratch.plan(arena, num_sequences, setup.num_threads);
  RUVLLM_CHECK(arena.commit(HugePages::kPrefer, "adapters").has_value());
  scratch.bind(arena);
  const size_t widest = static_cast<size_t>(std::max({dims.hidden, dims.ffn, dims.q}));
  const size_t row_floats = widest * static_cast<size_t>(num_sequences);
  const std::vector<float> input(row_floats, 0.01f);
  std::vector<std::vector<float>> outputs(ops::kMaxLoraCalls, std::vector<float>(row_floats));
  const auto run_group = [&](ThreadTeam::Worker& worker, int32_t layer,
                             std::span<const LoraTarget> targets) {
    ops::LoraCall calls[ops::kMaxLoraCalls];
    for (size_t i = 0; i < targets.size(); ++i) {
      calls[i] = {targets[i], dims.out_dim(targets[i]), outputs[i].data()};
    }
    ops::add_lora(worker, setup.device->kernels(), step.batch, layer,
                  std::span(calls, targets.size()), {input.data(), dims.in_dim(targets[0])},
                  scratch);
    worker.barrier();
  };
  double total_seconds = 0.0;
  for (auto _ : state) {
    const double seconds = team_seconds(setup.device->team(), [&](ThreadTeam::Worker& worker) {
      for (int32_t layer = 0; layer < dims.num_layers; ++layer) {
        run_group(worker, layer, kQkv);
        run_group(worker, layer, kOutput);
        run_group(worker, layer, kGateUp);
        run_group(worker, layer, kDown);
      }
    });
    state.SetIterationTime(seconds);
    total_seconds += seconds;
  }
  const double floats = static_cast<double>(sets.num_floats);
  report_work(state, setup, {.multiply_adds = floats, .bytes = floats * sizeof(float)});
  state.counters["us_per_token"] =
      1e6 * total_seconds / (static_cast<double>(state.iterations()) * num_sequences);
}

void add_shape(const Setup& setup, std::string_view name, std::span<const int32_t> ranks,
               std::span<const int32_t> sequences) {
  const api::SynthShape& shape = **api::find_synth_shape(name);
  for (const int32_t rank : ranks) {
    for (const int32_t count : sequences) {
      add_benchmark(fmt::format("lora/{}/rank:{}/sequences:{}", name, rank, count),
                    [&setup, &shape, rank, count](benchmark::State& state) {
                      run_step(state, setup, shape, rank, count);
                    });
    }
  }
}

void add(const Setup& setup) {
  if (setup.tiny) {
    add_shape(setup, "demo", std::array{4, 16}, std::array{1, 3});
    return;
  }
  for (const std::string_view name : {"qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b"}) {
    add_shape(setup, name, std::array{4, 8, 16, 32, 64}, std::array{1, 2, 8, 64});
  }
}

}  // namespace
}  // namespace ruvllm::bench

int main(int argc, char** argv) {
  return ruvllm::bench::run_benchmarks(argc, argv, ruvllm::bench::add);
}
