#include "ops/linear.h"

#include <algorithm>
#include <limits>

namespace ruvllm::ops {
namespace {

using kernels::MatmulKernel;

// A part of a second-level cache; more than a thread can fetch while it waits.
constexpr size_t kMaxPrefetchBytes = size_t{256} << 10;

// Rows of one piece of work. Enough pieces that a stolen processor delays the end by little, and
// large enough that each streams a few pages.
int64_t gemv_piece_rows(const LinearPlan& plan, uint32_t num_threads) {
  constexpr int64_t kPiecesPerThread = 8;
  constexpr int64_t kMinBytes = 32 * 1024;
  const int64_t unit = plan.kernel->gemv_chunk_rows;
  const int64_t even = plan.out_dim() / (static_cast<int64_t>(num_threads) * kPiecesPerThread);
  const int64_t stride = static_cast<int64_t>(plan.weight.row_stride);
  const int64_t floor = (kMinBytes + stride - 1) / stride;
  const int64_t rows = std::max({even, floor, unit});
  return (rows + unit - 1) / unit * unit;
}

struct Pieces {
  bool use_gemm;
  int64_t rows;  // of one piece
  int64_t count;
};

Pieces split(const LinearPlan& plan, int32_t num_rows, uint32_t num_threads) {
  const bool use_gemm = num_rows >= plan.kernel->gemm_min_x_rows;
  const int64_t rows = use_gemm ? plan.kernel->gemm_chunk_rows : gemv_piece_rows(plan, num_threads);
  return {use_gemm, rows, (plan.out_dim() + rows - 1) / rows};
}

void add_bias(const float* bias, int32_t num_x_rows, int32_t num_rows, float* dst, size_t stride) {
  for (int32_t m = 0; m < num_x_rows; ++m) {
    float* out = dst + static_cast<size_t>(m) * stride;
    for (int32_t r = 0; r < num_rows; ++r) out[r] += bias[r];
  }
}

void run_piece(const LinearCall& call, const Pieces& pieces, int64_t piece,
               const ActivationBuffer& input, int32_t num_rows, std::byte* scratch) noexcept {
  const LinearPlan& plan = *call.plan;
  const int64_t first = piece * pieces.rows;
  const int64_t count = std::min<int64_t>(pieces.rows, plan.out_dim() - first);
  kernels::MatmulArgs args;
  args.weights = plan.weight.row(static_cast<size_t>(first));
  args.weight_row_stride = plan.weight.row_stride;
  args.num_weight_rows = static_cast<int32_t>(count);
  args.num_cols = plan.in_dim();
  args.x = input.view(plan.kernel->activation);
  args.num_x_rows = num_rows;
  args.dst = call.dst + first;
  args.dst_stride = static_cast<size_t>(plan.out_dim());
  args.scratch = scratch;
  (pieces.use_gemm ? plan.kernel->gemm : plan.kernel->gemv)(args);
  if (plan.bias != nullptr) {
    add_bias(plan.bias + first, num_rows, args.num_weight_rows, args.dst, args.dst_stride);
  }
}

}  // namespace

Result<LinearPlan> plan_linear(const device::CpuDevice& device, const MatrixView& weight,
                               const float* bias, std::string_view name) {
  const DTypeInfo& info = dtype_info(weight.dtype);
  constexpr uint32_t kMaxDim = std::numeric_limits<int32_t>::max();
  if (weight.empty() || weight.num_rows == 0 || weight.num_cols == 0) {
    return fail(ErrorCode::kCorrupt, "tensor '{}' is empty", name);
  }
  if (weight.num_rows > kMaxDim || weight.num_cols > kMaxDim) {
    return fail(ErrorCode::kUnsupported, "tensor '{}' is [{}, {}]; dimensions must be below 2^31",
                name, weight.num_rows, weight.num_cols);
  }
  if (weight.num_cols % info.block_elements != 0) {
    return fail(ErrorCode::kCorrupt, "tensor '{}': rows of {} are not whole {} blocks of {}", name,
                weight.num_cols, info.name, info.block_elements);
  }
  return LinearPlan{weight, bias, &device.kernels().matmul[static_cast<size_t>(weight.dtype)]};
}

WeightPrefetch::WeightPrefetch(const LinearPlan& next)
    : position_(next.weight.row(0)),
      end_(position_ + std::min(next.weight.num_rows * next.weight.row_stride, kMaxPrefetchBytes)) {
}

bool WeightPrefetch::operator()() noexcept {
  constexpr std::ptrdiff_t kLineBytes = 64, kStepBytes = 16 * kLineBytes;
  if (end_ - position_ < kStepBytes) return false;
  for (std::ptrdiff_t i = 0; i < kStepBytes; i += kLineBytes) {
    __builtin_prefetch(position_ + i, /*rw=*/0, /*locality=*/2);
  }
  position_ += kStepBytes;
  return true;
}

void run_linear(ThreadTeam::Worker& worker, std::span<const LinearCall> calls,
                const ActivationBuffer& input, int32_t num_rows, std::byte* scratch) noexcept {
  int64_t total = 0;
  for (const LinearCall& call : calls) {
    total += split(*call.plan, num_rows, worker.num_threads()).count;
  }
  worker.for_chunks(total, 1, [&](int64_t index, int64_t) {
    for (const LinearCall& call : calls) {
      const Pieces pieces = split(*call.plan, num_rows, worker.num_threads());
      if (index < pieces.count) {
        run_piece(call, pieces, index, input, num_rows, scratch);
        return;
      }
      index -= pieces.count;
    }
  });
}

}  // namespace ruvllm::ops
