#include "ops/lora.h"

#include <algorithm>

#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::ops {
namespace {

// A piece of work is up to kPieceRows rows of one sequence, and for B up to kPieceCols outputs.
constexpr int32_t kPieceRows = 32;
constexpr int32_t kPieceCols = 256;

int64_t ceil_div(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

struct RowPiece {
  const LoraView* set = nullptr;
  int32_t first_row = 0;
  int32_t num_rows = 0;
};

int64_t count_row_pieces(const BatchView& batch) {
  int64_t count = 0;
  for (int32_t i = 0; i < batch.num_spans; ++i) {
    if (batch.spans[i].lora != nullptr) count += ceil_div(batch.spans[i].num_rows, kPieceRows);
  }
  return count;
}

// `index` counts from 0 to count_row_pieces() - 1.
RowPiece row_piece(const BatchView& batch, int64_t index) {
  const SpanView* span = batch.spans;
  for (;; ++span) {
    const int64_t count = span->lora == nullptr ? 0 : ceil_div(span->num_rows, kPieceRows);
    if (index < count) break;
    index -= count;
  }
  const int32_t first = static_cast<int32_t>(index) * kPieceRows;
  return {span->lora, span->first_row + first, std::min(kPieceRows, span->num_rows - first)};
}

// dst[m * dst_stride + r] = row r of weights times row m of x.
void multiply(const kernels::MatmulKernel& product, const float* weights, int32_t num_weight_rows,
              int32_t num_cols, const float* x, int32_t num_x_rows, float* dst,
              int32_t dst_stride) {
  kernels::MatmulArgs args;
  args.weights = reinterpret_cast<const std::byte*>(weights);
  args.weight_row_stride = static_cast<size_t>(num_cols) * sizeof(float);
  args.num_weight_rows = num_weight_rows;
  args.num_cols = num_cols;
  args.x.f32 = x;
  args.num_x_rows = num_x_rows;
  args.dst = dst;
  args.dst_stride = static_cast<size_t>(dst_stride);
  product.gemv(args);
}

// inner = scale * A x of every part, [rows of the piece, rank] each, one after the other.
void project(const kernels::MatmulKernel& product, const RowPiece& piece,
             std::span<const LoraPart> parts, const LoraInput& input, float* inner) {
  const float* x = input.rows + static_cast<int64_t>(piece.first_row) * input.in_dim;
  for (const LoraPart& part : parts) {
    multiply(product, part.a, part.rank, input.in_dim, x, piece.num_rows, inner, part.rank);
    const int64_t count = static_cast<int64_t>(piece.num_rows) * part.rank;
    for (int64_t i = 0; i < count; ++i) inner[i] *= part.scale;
    inner += count;
  }
}

// dst += B inner of every part, for outputs [first_col, first_col + num_cols).
void expand(const kernels::KernelTable& kernels, const RowPiece& piece,
            std::span<const LoraPart> parts, const LoraCall& call, int32_t first_col,
            int32_t num_cols, const float* inner, float* rows) {
  const auto& product = kernels.matmul[static_cast<size_t>(DType::kF32)];
  for (const LoraPart& part : parts) {
    multiply(product, part.b + static_cast<int64_t>(first_col) * part.rank, num_cols, part.rank,
             inner, piece.num_rows, rows, num_cols);
    for (int32_t m = 0; m < piece.num_rows; ++m) {
      kernels.elementwise.add(
          rows + static_cast<int64_t>(m) * num_cols, num_cols,
          call.dst + static_cast<int64_t>(piece.first_row + m) * call.out_dim + first_col);
    }
    inner += static_cast<int64_t>(piece.num_rows) * part.rank;
  }
}

}  // namespace

void LoraScratch::plan(Arena& arena, int32_t max_rows, uint32_t num_threads) {
  max_rows_ = max_rows;
  inner_slot_ = arena.add<float>(kMaxLoraCalls * static_cast<size_t>(max_rows) *
                                 static_cast<size_t>(kMaxLoraRank));
  rows_slot_ = arena.add<float>(size_t{num_threads} * kPieceRows * kPieceCols);
}

void LoraScratch::bind(const Arena& arena) {
  inner_ = arena.at(inner_slot_);
  rows_ = arena.at(rows_slot_);
}

float* LoraScratch::thread_rows(uint32_t thread_idx) const {
  return rows_ + size_t{thread_idx} * kPieceRows * kPieceCols;
}

bool has_lora(const BatchView& batch) noexcept {
  return std::any_of(batch.spans, batch.spans + batch.num_spans,
                     [](const SpanView& span) { return span.lora != nullptr; });
}

void add_lora(ThreadTeam::Worker& worker, const kernels::KernelTable& kernels,
              const BatchView& batch, int32_t layer_idx, std::span<const LoraCall> calls,
              const LoraInput& input, const LoraScratch& scratch) noexcept {
  const auto& product = kernels.matmul[static_cast<size_t>(DType::kF32)];
  const int64_t num_pieces = count_row_pieces(batch);
  worker.for_chunks(num_pieces * static_cast<int64_t>(calls.size()), 1, [&](int64_t i, int64_t) {
    const RowPiece piece = row_piece(batch, i % num_pieces);
    const size_t call_idx = static_cast<size_t>(i / num_pieces);
    project(product, piece, piece.set->at(layer_idx, calls[call_idx].target), input,
            scratch.inner(call_idx, piece.first_row));
  });
  worker.barrier();
  int64_t num_blocks = 0;
  for (const LoraCall& call : calls) num_blocks += ceil_div(call.out_dim, kPieceCols);
  worker.for_chunks(num_pieces * num_blocks, 1, [&](int64_t i, int64_t) {
    const RowPiece piece = row_piece(batch, i / num_blocks);
    int64_t block = i % num_blocks;
    size_t call_idx = 0;
    for (; block >= ceil_div(calls[call_idx].out_dim, kPieceCols); ++call_idx) {
      block -= ceil_div(calls[call_idx].out_dim, kPieceCols);
    }
    const LoraCall& call = calls[call_idx];
    const int32_t first_col = static_cast<int32_t>(block) * kPieceCols;
    expand(kernels, piece, piece.set->at(layer_idx, call.target), call, first_col,
           std::min(kPieceCols, call.out_dim - first_col), scratch.inner(call_idx, piece.first_row),
           scratch.thread_rows(worker.index()));
  });
}

}  // namespace ruvllm::ops
