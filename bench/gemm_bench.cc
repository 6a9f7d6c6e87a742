// Matrix products as the engine runs them (ops::run_linear): every weight type, the feed-forward
// matrices of three models, one row of activations (decode) to a chunk of a prompt.
//
//   gemm/TYPE/SHAPE.up/packed/512     SHAPE.up: [ffn_dim, hidden_dim], .down: the other way round
//
// "file": weights as files have them; "packed": in the slices that the engine copies them into.
// Matrices follow each other through memory that no cache holds, so few rows are bound by memory.
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
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
#include "support/harness.h"
#include "support/random_bytes.h"
#include "tensor/dtype.h"

namespace ruvllm::bench {
namespace {

constexpr size_t kWeightBytes = size_t{256} << 20;

struct Matrix {
  std::string name;  // "qwen2.5-1.5b.up"
  uint32_t num_rows, num_cols;
};

std::vector<Matrix> matrices(const Setup& setup) {
  if (setup.tiny) return {{"tiny", 64, 512}};
  std::vector<Matrix> all;
  for (const std::string_view name : {"qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b"}) {
    const api::SynthShape& shape = **api::find_synth_shape(name);
    all.push_back({fmt::format("{}.up", name), shape.ffn_dim, shape.hidden_dim});
    all.push_back({fmt::format("{}.down", name), shape.hidden_dim, shape.ffn_dim});
  }
  return all;
}

// Shared by all benchmarks: any bytes are weights of every type, in every layout.
std::span<const std::byte> weight_bytes(const Setup& setup) {
  static const Buffer buffer = [&] {
    Buffer made =
        Buffer::allocate(setup.tiny ? size_t{1} << 20 : kWeightBytes, HugePages::kPrefer, "weights")
            .value();
    fill_random({made.data(), made.size()});
    return made;
  }();
  return {buffer.data(), buffer.size()};
}

// Rows of activations in the form that one product reads.
struct Activations {
  Activations(const device::CpuDevice& device, const ops::LinearPlan& plan, int32_t num_rows) {
    buffer.plan(arena, num_rows, plan.in_dim(), plan.activation_kind());
    RUVLLM_CHECK(arena.commit(HugePages::kPrefer, "activations").has_value());
    buffer.bind(arena);
    for (int32_t row = 0; row < num_rows; ++row) {
      float* values = buffer.row(row, plan.in_dim());
      for (int32_t i = 0; i < plan.in_dim(); ++i) {
        values[i] = static_cast<float>((i * 37 + row * 11) % 255 - 127) * 0.01f;
      }
      buffer.store_row(device.kernels().elementwise, row, plan.in_dim(), plan.activation_kind());
    }
  }

  Arena arena;
  ops::ActivationBuffer buffer;
};

struct Scratch {
  Scratch(size_t bytes, uint32_t num_threads) {
    for (uint32_t i = 0; i < num_threads; ++i) {
      threads.push_back(Buffer::allocate(bytes + 1, HugePages::kNo, "scratch").value());
    }
  }
  std::vector<Buffer> threads;
};

void run_product(benchmark::State& state, const Setup& setup, DType dtype, const Matrix& matrix,
                 bool packed, int32_t num_x_rows) {
  const std::span<const std::byte> bytes = weight_bytes(setup);
  const kernels::MatmulKernel& kernel = setup.device->kernels().product(dtype, matrix.num_cols);
  const size_t file_stride = row_bytes(dtype, matrix.num_cols).value();
  const size_t stride =
      packed ? kernel.layout.row_bytes(static_cast<int32_t>(matrix.num_cols)) : file_stride;
  // Of a matrix larger than the buffer, as many rows as it has.
  const auto num_rows =
      static_cast<uint32_t>(std::min<size_t>(matrix.num_rows, bytes.size() / stride / 16 * 16));
  const size_t matrix_bytes = num_rows * stride;
  const MatrixView view{bytes.data(), dtype, num_rows, matrix.num_cols, file_stride};
  ops::LinearPlan plan = ops::plan_linear(*setup.device, view, nullptr, matrix.name).value();
  ops::PackedSlices slices = nullptr;
  if (packed) plan.packed = &slices;
  const Activations x(*setup.device, plan, num_x_rows);
  const Scratch scratch(plan.scratch_bytes(), setup.num_threads);
  std::vector<float> dst(size_t{num_rows} * static_cast<size_t>(num_x_rows));
  const std::array<ops::LinearCall, 1> calls = {{{&plan, dst.data()}}};
  size_t next = 0;
  for (auto _ : state) {
    plan.weight.data = bytes.data() + next;
    slices = packed ? plan.weight.data : nullptr;
    next += matrix_bytes;
    if (next + matrix_bytes > bytes.size()) next = 0;
    state.SetIterationTime(team_seconds(setup.device->team(), [&](ThreadTeam::Worker& worker) {
      ops::run_linear(worker, calls, x.buffer, num_x_rows, scratch.threads[worker.index()].data());
    }));
  }
  const bool is_float = plan.kernel->activation == kernels::ActivationKind::kF32;
  const double weights = static_cast<double>(num_rows) * matrix.num_cols;
  report_work(state, setup,
              {.multiply_adds = weights * num_x_rows,
               .arithmetic = is_float ? Arithmetic::kFloat : Arithmetic::kInt8,
               .bytes = static_cast<double>(matrix_bytes)});
  state.SetLabel(plan.kernel->name);
}

void add(const Setup& setup) {
  const std::vector<int32_t> x_rows =
      setup.tiny ? std::vector<int32_t>{1, 5}
                 : std::vector<int32_t>{1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 512};
  for (size_t i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    const DTypeInfo& info = dtype_info(dtype);
    for (const Matrix& matrix : matrices(setup)) {
      if (matrix.num_cols % info.block_elements != 0) continue;
      const bool can_pack =
          setup.device->kernels().product(dtype, matrix.num_cols).packed != nullptr;
      for (const bool packed : {false, true}) {
        if (packed && !can_pack) continue;
        for (const int32_t rows : x_rows) {
          add_benchmark(fmt::format("gemm/{}/{}/{}/{}", info.name, matrix.name,
                                    packed ? "packed" : "file", rows),
                        [&setup, dtype, matrix, packed, rows](benchmark::State& state) {
                          run_product(state, setup, dtype, matrix, packed, rows);
                        });
        }
      }
    }
  }
}

}  // namespace
}  // namespace ruvllm::bench

int main(int argc, char** argv) {
  return ruvllm::bench::run_benchmarks(argc, argv, ruvllm::bench::add);
}
