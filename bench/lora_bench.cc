// What adapters cost a decode step of a model: the products of all layers with and without them.
//
//   lora/SHAPE/rank:R/sequences:N      N sequences decode one token each, everyone with an own
//                                      adapter of rank R for all seven products of a layer
//
// The products are Q4_K (Q5_0 where rows do not divide by 256), packed; attention, norms and logits
// are left out. of_base is the speed without adapters that is left, us_per_token what adapters add
// to a token.
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
#include "ops/activations.h"
#include "ops/linear.h"
#include "ops/lora.h"
#include "ops/views.h"
#include "support/harness.h"
#include "support/random_bytes.h"
#include "tensor/dtype.h"

namespace ruvllm::bench {
namespace {

using ops::LoraTarget;

// Matrices of all adapters lie one after the other in this and start again at its begin, so that
// dozens of adapters need no more memory than the machine has.
constexpr size_t kPoolElements = size_t{512} << 20;

std::span<const uint16_t> pool(const Setup& setup) {
  static const Buffer buffer = [&] {
    const size_t count = setup.tiny ? size_t{1} << 20 : kPoolElements;
    Buffer made =
        Buffer::allocate(count * sizeof(uint16_t), HugePages::kPrefer, "adapters").value();
    auto* values = reinterpret_cast<uint16_t*>(made.data());
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<uint16_t>(0x2000 + i % 255);
    return made;
  }();
  return {reinterpret_cast<const uint16_t*>(buffer.data()), buffer.size() / sizeof(uint16_t)};
}

// Any bytes are packed weights of every type; a layer's matrices follow each other and start again
// at the begin.
std::span<const std::byte> weight_pool(const Setup& setup) {
  static const Buffer buffer = [&] {
    Buffer made = Buffer::allocate(setup.tiny ? size_t{8} << 20 : size_t{256} << 20,
                                   HugePages::kPrefer, "weights")
                      .value();
    fill_random({made.data(), made.size()});
    return made;
  }();
  return {buffer.data(), buffer.size()};
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
    const std::span<const uint16_t> values = pool(setup);
    size_t next = 0;
    const auto take = [&](size_t count) {
      RUVLLM_CHECK(count <= values.size());
      if (next + count > values.size()) next = 0;
      const uint16_t* taken = values.data() + next;
      next += (count + 31) / 32 * 32;
      num_elements += count;
      return taken;
    };
    const size_t num_parts = static_cast<size_t>(dims.num_layers) * ops::kNumLoraTargets;
    for (size_t i = 0; i <= num_parts; ++i) begins.push_back(static_cast<uint32_t>(i));
    for (std::vector<ops::LoraPart>& own : parts) {
      for (size_t i = 0; i < num_parts; ++i) {
        const auto target = static_cast<LoraTarget>(i % ops::kNumLoraTargets);
        const uint16_t* a =
            take(static_cast<size_t>(rank) * static_cast<size_t>(dims.in_dim(target)));
        own.push_back({a, take(ops::lora_b_elements(dims.out_dim(target), rank)), rank});
      }
      views.push_back({own.data(), begins.data()});
    }
  }

  std::vector<std::vector<ops::LoraPart>> parts;
  std::vector<uint32_t> begins;
  std::vector<ops::LoraView> views;
  size_t num_elements = 0;  // of all sets
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

// The products of a layer that share their input, as model/decoder runs them.
struct Group {
  std::vector<LoraTarget> targets;
  int32_t in_dim;
};

std::array<Group, 4> groups_of(const Dimensions& dims) {
  return {{{{LoraTarget::kQ, LoraTarget::kK, LoraTarget::kV}, dims.hidden},
           {{LoraTarget::kAttnOutput}, dims.q},
           {{LoraTarget::kGate, LoraTarget::kUp}, dims.hidden},
           {{LoraTarget::kDown}, dims.ffn}}};
}

// All layers' products with their inputs and outputs.
class Products {
 public:
  Products(const Setup& setup, const Dimensions& dims, int32_t num_rows)
      : setup_(setup), dims_(dims), groups_(groups_of(dims)), num_rows_(num_rows) {
    const int32_t widest = std::max({dims.hidden, dims.ffn, dims.q});
    size_t scratch_bytes = 64;
    size_t next = 0;
    plans_.resize(static_cast<size_t>(dims.num_layers) * ops::kNumLoraTargets);
    slices_ = std::vector<ops::PackedSlices>(plans_.size());
    for (size_t i = 0; i < plans_.size(); ++i) {
      const auto target = static_cast<LoraTarget>(i % ops::kNumLoraTargets);
      plans_[i] = plan(target, next);
      slices_[i] = plans_[i].weight.data;
      plans_[i].packed = &slices_[i];
      scratch_bytes = std::max(scratch_bytes, plans_[i].scratch_bytes());
    }
    for (size_t i = 0; i < groups_.size(); ++i) {
      inputs_[i].plan(arena_, num_rows, groups_[i].in_dim, kinds(i));
    }
    lora_.plan(arena_, num_rows, setup.num_threads);
    scratch_stride_ = (scratch_bytes + 63) / 64 * 64;
    const auto scratch = arena_.add<std::byte>(scratch_stride_ * setup.num_threads);
    RUVLLM_CHECK(arena_.commit(HugePages::kPrefer, "products").has_value());
    lora_.bind(arena_);
    scratch_ = arena_.at(scratch);
    for (size_t i = 0; i < groups_.size(); ++i) fill(inputs_[i], groups_[i].in_dim, kinds(i));
    for (std::vector<float>& output : outputs_) {
      output.resize(static_cast<size_t>(widest) * static_cast<size_t>(num_rows));
    }
  }

  double seconds(const Step& step, bool with_adapters) {
    lora_.prepare(step.batch, nullptr);
    return team_seconds(setup_.device->team(), [&](ThreadTeam::Worker& worker) {
      for (int32_t layer = 0; layer < dims_.num_layers; ++layer) {
        for (size_t i = 0; i < groups_.size(); ++i) run(worker, step, layer, i, with_adapters);
      }
    });
  }

 private:
  ops::LinearPlan plan(LoraTarget target, size_t& next) const {
    const std::span<const std::byte> bytes = weight_pool(setup_);
    const auto cols = static_cast<uint32_t>(dims_.in_dim(target));
    const auto rows = static_cast<uint32_t>(dims_.out_dim(target));
    const DType dtype = cols % 256 == 0 ? DType::kQ4_K : DType::kQ5_0;
    const size_t stride = row_bytes(dtype, cols).value();
    RUVLLM_CHECK(rows * stride <= bytes.size());
    if (next + rows * stride > bytes.size()) next = 0;
    const MatrixView view{bytes.data() + next, dtype, rows, cols, stride};
    next += (rows * stride + 63) / 64 * 64;
    return ops::plan_linear(*setup_.device, view, nullptr, "product").value();
  }

  // Of the first layer's products, as of all.
  ops::ActivationKinds kinds(size_t group) const {
    return plans_[static_cast<size_t>(groups_[group].targets[0])].activation_kind();
  }

  void fill(ops::ActivationBuffer& input, int32_t dim, ops::ActivationKinds kinds) const {
    input.bind(arena_);
    for (int32_t row = 0; row < num_rows_; ++row) {
      std::fill_n(input.row(row, dim), dim, 0.01f);
      input.store_row(setup_.device->kernels().elementwise, row, dim, kinds);
    }
  }

  ops::LoraGroup lora_group(int32_t layer, size_t group) const {
    return {layer, groups_[group].targets, groups_[group].in_dim};
  }

  void run(ThreadTeam::Worker& worker, const Step& step, int32_t layer, size_t group,
           bool with_adapters) {
    ops::LinearCall calls[ops::kMaxLoraCalls];
    const std::vector<LoraTarget>& targets = groups_[group].targets;
    for (size_t i = 0; i < targets.size(); ++i) {
      const size_t place =
          static_cast<size_t>(layer) * ops::kNumLoraTargets + static_cast<size_t>(targets[i]);
      calls[i] = {&plans_[place], outputs_[i].data()};
    }
    const std::span<const ops::LinearCall> used(calls, targets.size());
    std::byte* scratch = scratch_ + worker.index() * scratch_stride_;
    if (with_adapters) {
      const ops::LoraPass pass = {setup_.device->kernels(), step.batch, lora_};
      const ops::LoraGroup own = lora_group(layer, group);
      ops::project_lora(worker, pass, own, inputs_[group].row(0, own.in_dim));
      worker.barrier();
      const size_t after = (group + 1) % groups_.size();
      const int32_t next_layer = (layer + (after == 0 ? 1 : 0)) % dims_.num_layers;
      ops::run_linear_with_lora(worker, pass, own, used, inputs_[group],
                                lora_group(next_layer, after), scratch);
    } else {
      ops::run_linear(worker, used, inputs_[group], num_rows_, scratch);
    }
    worker.barrier();
  }

  const Setup& setup_;
  Dimensions dims_;
  std::array<Group, 4> groups_;
  int32_t num_rows_;
  Arena arena_;
  std::array<ops::ActivationBuffer, 4> inputs_;
  ops::LoraScratch lora_;
  std::byte* scratch_ = nullptr;
  size_t scratch_stride_ = 0;
  std::vector<ops::LinearPlan> plans_;  // [layers, targets]
  std::vector<ops::PackedSlices> slices_;
  std::array<std::vector<float>, ops::kMaxLoraCalls> outputs_;
};

void run_step(benchmark::State& state, const Setup& setup, const api::SynthShape& shape,
              int32_t rank, int32_t num_sequences) {
  const Dimensions dims(shape);
  const Sets sets(setup, dims, rank, num_sequences);
  const Step step(sets);
  Products products(setup, dims, num_sequences);
  double with = 0.0, without = 0.0;
  for (auto _ : state) {
    without += products.seconds(step, false);
    const double seconds = products.seconds(step, true);
    with += seconds;
    state.SetIterationTime(seconds);
  }
  const double elements = static_cast<double>(sets.num_elements);
  report_work(state, setup, {.multiply_adds = elements, .bytes = elements * sizeof(uint16_t)});
  state.counters["of_base"] = without / with;
  state.counters["us_per_token"] =
      1e6 * (with - without) / (static_cast<double>(state.iterations()) * num_sequences);
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
