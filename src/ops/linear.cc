#include "ops/linear.h"

#include <algorithm>
#include <limits>

namespace ruvllm::ops {
namespace {

// Fewer rows of x than this leave products of packed weights bound by memory at their beginning at
// least: they take pieces as large as one row does, whose streams the prefetches follow further
// (docs/cpu-kernels.md).
constexpr int32_t kManyRows = 32;

// A part of a second-level cache; more than a thread can fetch while it waits.
constexpr size_t kMaxPrefetchBytes = size_t{256} << 10;

// Rows of one piece of work. Enough pieces that a stolen processor delays the end by little, and
// large enough that each streams a few pages.
int64_t gemv_piece_rows(const LinearPlan& plan, int32_t num_weight_rows, uint32_t num_threads) {
  constexpr int64_t kPiecesPerThread = 8;
  constexpr int64_t kMinBytes = 32 * 1024;
  const int64_t unit = plan.row_unit();
  const int64_t even = num_weight_rows / (static_cast<int64_t>(num_threads) * kPiecesPerThread);
  const int64_t stride = static_cast<int64_t>(plan.weight.row_stride);
  const int64_t floor = (kMinBytes + stride - 1) / stride;
  const int64_t rows = std::max({even, floor, unit});
  return (rows + unit - 1) / unit * unit;
}

void add_bias(const float* bias, int32_t num_x_rows, int32_t num_rows, float* dst, size_t stride) {
  for (int32_t m = 0; m < num_x_rows; ++m) {
    float* out = dst + static_cast<size_t>(m) * stride;
    for (int32_t r = 0; r < num_rows; ++r) out[r] += bias[r];
  }
}

// Pieces are made before it is known whether the packed slices are ready.
void run_gemm(const kernels::MatmulKernel& kernel, const kernels::MatmulArgs& args) {
  kernels::MatmulArgs part = args;
  for (int32_t row = 0; row < args.num_weight_rows; row += part.num_weight_rows) {
    part.weights = args.weights + static_cast<size_t>(row) * args.weight_row_stride;
    part.num_weight_rows = std::min(kernel.gemm_chunk_rows, args.num_weight_rows - row);
    part.dst = args.dst + row;
    kernel.gemm(part);
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
  return LinearPlan{.weight = weight,
                    .bias = bias,
                    .kernel = &device.kernels().product(weight.dtype, weight.num_cols)};
}

WeightPrefetch::WeightPrefetch(const LinearPlan& next)
    : position_(next.packed_slices() != nullptr ? next.packed_slices() : next.weight.row(0)),
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

LinearPieces split_linear(const LinearPlan& plan, int32_t num_weight_rows, int32_t num_x_rows,
                          uint32_t num_threads) noexcept {
  const bool use_gemm = num_x_rows >= plan.kernel->gemm_min_x_rows;
  const bool is_streamed = !use_gemm || (plan.packed != nullptr && num_x_rows < kManyRows);
  const int64_t rows = is_streamed ? gemv_piece_rows(plan, num_weight_rows, num_threads)
                                   : plan.kernel->gemm_chunk_rows;
  return {use_gemm, rows, (num_weight_rows + rows - 1) / rows};
}

void run_linear_piece(const LinearPiece& piece, std::byte* scratch) noexcept {
  const LinearPlan& plan = *piece.plan;
  const auto first_row = static_cast<size_t>(piece.first_weight_row);
  const std::byte* packed = plan.packed_slices();
  kernels::MatmulArgs args;
  args.weight_row_stride = packed != nullptr ? plan.packed_row_stride() : plan.weight.row_stride;
  args.weights =
      packed != nullptr ? packed + first_row * args.weight_row_stride : plan.weight.row(first_row);
  args.num_weight_rows = piece.num_weight_rows;
  args.num_cols = plan.in_dim();
  args.x = piece.x;
  args.num_x_rows = piece.num_x_rows;
  args.dst = piece.dst;
  args.dst_stride = piece.dst_stride;
  args.scratch = scratch;
  args.prefetch = piece.fetched.data();
  args.num_prefetch = static_cast<int32_t>(piece.fetched.size());
  if (packed != nullptr) {
    plan.kernel->packed(args);
  } else if (piece.use_gemm) {
    run_gemm(*plan.kernel, args);
  } else {
    plan.kernel->gemv(args);
  }
  if (plan.bias != nullptr) {
    add_bias(plan.bias + piece.first_weight_row, piece.num_x_rows, piece.num_weight_rows, piece.dst,
             piece.dst_stride);
  }
}

void run_linear(ThreadTeam::Worker& worker, std::span<const LinearCall> calls,
                const ActivationBuffer& input, int32_t num_rows, std::byte* scratch) noexcept {
  const auto split = [&](const LinearPlan& plan) {
    return split_linear(plan, plan.out_dim(), num_rows, worker.num_threads());
  };
  int64_t total = 0;
  for (const LinearCall& call : calls) total += split(*call.plan).count;
  worker.for_chunks(total, 1, [&](int64_t index, int64_t) {
    for (const LinearCall& call : calls) {
      const LinearPlan& plan = *call.plan;
      const LinearPieces pieces = split(plan);
      if (index >= pieces.count) {
        index -= pieces.count;
        continue;
      }
      const int64_t first = index * pieces.rows;
      const int64_t count = std::min<int64_t>(pieces.rows, plan.out_dim() - first);
      run_linear_piece({&plan, pieces.use_gemm, first, static_cast<int32_t>(count),
                        input.view(plan.kernel->activation), num_rows, call.dst + first,
                        static_cast<size_t>(plan.out_dim())},
                       scratch);
      return;
    }
  });
}

}  // namespace ruvllm::ops
