// y = W x + b, planned once for each weight matrix and run for any number of rows.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/core/error.h"
#include "base/threads/thread_team.h"
#include "device/cpu_device.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/prefetch.h"
#include "ops/activations.h"
#include "tensor/view.h"

namespace ruvllm::ops {

// The packed slices of a matrix (kernels/cpu/packed/packed_layout.h), null until they are ready.
// The products have the same bits with and without them, so they may appear at any time.
using PackedSlices = std::atomic<const std::byte*>;

struct LinearPlan {
  MatrixView weight;            // [out_dim, in_dim]
  const float* bias = nullptr;  // [out_dim] or none
  const kernels::MatmulKernel* kernel = nullptr;
  const PackedSlices* packed = nullptr;  // none: the matrix is never packed

  int32_t in_dim() const { return static_cast<int32_t>(weight.num_cols); }
  int32_t out_dim() const { return static_cast<int32_t>(weight.num_rows); }
  ActivationKinds activation_kind() const { return kind_bit(kernel->activation); }
  size_t scratch_bytes() const { return kernel->scratch_bytes(in_dim()); }
  // Rows that divide among threads: pieces of packed matrices are whole slices.
  int32_t row_unit() const {
    return packed == nullptr ? kernel->gemv_chunk_rows
                             : std::max(kernel->gemv_chunk_rows, kernels::kSliceRows);
  }
  // What a row takes in packed slices, bytes; rows of a slice count alike.
  size_t packed_row_stride() const { return kernel->layout.row_bytes(in_dim()); }
  const std::byte* packed_slices() const {
    return packed == nullptr ? nullptr : packed->load(std::memory_order_acquire);
  }
};

// Checks dtype, block sizes and dimensions; `name` is used in errors. Keeps pointers into `weight`.
Result<LinearPlan> plan_linear(const device::CpuDevice& device, const MatrixView& weight,
                               const float* bias, std::string_view name);

struct LinearCall {
  const LinearPlan* plan = nullptr;
  float* dst = nullptr;  // [num_rows, out_dim]
};

// Brings the beginning of a product's weights into the second-level cache, in small steps, so that
// a thread that waits for its team keeps the memory busy (Worker::barrier's idle work).
class WeightPrefetch {
 public:
  explicit WeightPrefetch(const LinearPlan& next);
  bool operator()() noexcept;  // false: there is no more to do

 private:
  const std::byte* position_;
  const std::byte* end_;
};

// Runs products that share their input over the team, as one loop without a barrier at its end:
// a Worker::barrier must follow. The input holds the kinds of all plans for `num_rows` rows.
// `scratch` is this thread's, as large as the largest scratch_bytes() of the plans.
void run_linear(ThreadTeam::Worker& worker, std::span<const LinearCall> calls,
                const ActivationBuffer& input, int32_t num_rows, std::byte* scratch) noexcept;

// The parts of run_linear, for products over some rows of a matrix (ops/moe).

// How a product with `num_weight_rows` of the plan's rows is divided among the threads.
struct LinearPieces {
  bool use_gemm;
  int64_t rows;  // of one piece
  int64_t count;
};
LinearPieces split_linear(const LinearPlan& plan, int32_t num_weight_rows, int32_t num_x_rows,
                          uint32_t num_threads) noexcept;

// dst[m * dst_stride + r] = weight row first + r times x row m, plus its bias.
struct LinearPiece {
  const LinearPlan* plan = nullptr;
  bool use_gemm = false;
  int64_t first_weight_row = 0;
  int32_t num_weight_rows = 0;
  kernels::ActivationRows x;  // of plan->kernel->activation
  int32_t num_x_rows = 0;
  float* dst = nullptr;
  size_t dst_stride = 0;                                // elements
  std::span<const kernels::PrefetchSpan> fetched = {};  // MatmulArgs::prefetch
};
void run_linear_piece(const LinearPiece& piece, std::byte* scratch) noexcept;

}  // namespace ruvllm::ops
