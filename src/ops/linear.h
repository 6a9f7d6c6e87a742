// y = W x + b, planned once for each weight matrix and run for any number of rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/core/error.h"
#include "base/threads/thread_team.h"
#include "device/cpu_device.h"
#include "ops/activations.h"
#include "tensor/view.h"

namespace ruvllm::ops {

struct LinearPlan {
  MatrixView weight;            // [out_dim, in_dim]
  const float* bias = nullptr;  // [out_dim] or none
  const kernels::MatmulKernel* kernel = nullptr;

  int32_t in_dim() const { return static_cast<int32_t>(weight.num_cols); }
  int32_t out_dim() const { return static_cast<int32_t>(weight.num_rows); }
  ActivationKinds activation_kind() const { return kind_bit(kernel->activation); }
  size_t scratch_bytes() const { return kernel->scratch_bytes(in_dim()); }
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

}  // namespace ruvllm::ops
