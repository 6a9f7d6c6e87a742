#include "ops/lora.h"

#include <algorithm>

#include "base/system/clock.h"
#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::ops {
namespace {

constexpr int32_t kMaxListedRows = 32;
constexpr size_t kMaxSpans = 512;  // fetched ahead of one piece of a product; more are left out
// Products of fewer rows are bound by memory themselves: there is no time to fetch anything in.
constexpr int32_t kMinRowsToFetch = 16;

size_t a_elements(const LoraPart& part, int32_t in_dim) {
  return static_cast<size_t>(part.rank) * static_cast<size_t>(in_dim);
}

// Adds the time that its scope takes, on the team's first thread alone.
class FirstThreadTimer {
 public:
  FirstThreadTimer(const ThreadTeam::Worker& worker, const LoraPass& pass)
      : total_(worker.index() == 0 ? pass.first_thread_ns : nullptr),
        begin_(total_ != nullptr ? monotonic_ns() : 0) {}
  FirstThreadTimer(const FirstThreadTimer&) = delete;
  FirstThreadTimer& operator=(const FirstThreadTimer&) = delete;
  ~FirstThreadTimer() {
    if (total_ != nullptr) *total_ += monotonic_ns() - begin_;
  }

 private:
  uint64_t* total_;
  uint64_t begin_;
};

// inner = scale * A x of every part, [rows of the piece, rank] each, one after the other.
void project(const kernels::KernelTable& kernels, const LoraRows& piece,
             std::span<const LoraPart> parts, int32_t in_dim, const float* rows, float* inner) {
  kernels::MatmulArgs args;
  args.weight_row_stride = static_cast<size_t>(in_dim) * sizeof(uint16_t);
  args.num_cols = in_dim;
  args.x.f32 = rows + static_cast<int64_t>(piece.first_row) * in_dim;
  args.num_x_rows = piece.num_rows;
  for (const LoraPart& part : parts) {
    args.weights = reinterpret_cast<const std::byte*>(part.a);
    args.num_weight_rows = part.rank;
    args.dst = inner;
    args.dst_stride = static_cast<size_t>(part.rank);
    kernels.matmul[static_cast<size_t>(DType::kF16)].gemv(args);
    const int32_t count = piece.num_rows * part.rank;
    kernels.elementwise.scale(part.scale, count, inner);
    inner += count;
  }
}

// The outputs [first_col, first_col + num_cols) of a product, of all rows of the step.
struct OutputPiece {
  LoraTarget target;
  size_t call_idx = 0;
  int32_t first_col = 0;
  int32_t num_cols = 0;
  float* dst = nullptr;
  size_t dst_stride = 0;
};

// dst += B inner of every part.
void expand(const LoraPass& pass, std::span<const LoraRows> rows, const OutputPiece& output) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const int32_t first_row = rows[i].first_row, num_rows = rows[i].num_rows;
    const float* inner = pass.scratch.inner(output.call_idx, first_row);
    for (const LoraPart& part : pass.scratch.parts(output.call_idx, i)) {
      pass.kernels.elementwise.add_low_rank(
          {.b = part.b,
           .rank = part.rank,
           .first_col = output.first_col,
           .num_cols = output.num_cols,
           .inner = inner,
           .num_rows = num_rows,
           .dst = output.dst + static_cast<size_t>(first_row) * output.dst_stride,
           .dst_stride = output.dst_stride});
      inner += static_cast<int64_t>(num_rows) * part.rank;
    }
  }
}

// What a thread fetches during one piece of a product.
class FetchList {
 public:
  explicit FetchList(std::span<kernels::PrefetchSpan> spans) : spans_(spans) {}

  void add(const uint16_t* begin, size_t count) {
    if (count == 0 || size_ == spans_.size()) return;
    spans_[size_++] = {reinterpret_cast<const std::byte*>(begin), count * sizeof(uint16_t)};
  }
  std::span<const kernels::PrefetchSpan> spans() const { return spans_.first(size_); }

 private:
  std::span<kernels::PrefetchSpan> spans_;
  size_t size_ = 0;
};

// B of a piece of a product: whole slices.
void fetch_b(const LoraPass& pass, size_t num_listed, const OutputPiece& output, FetchList& list) {
  constexpr int32_t kSlice = kernels::kLowRankSlice;
  const int32_t first = output.first_col / kSlice * kSlice;
  const int32_t end = output.first_col + output.num_cols;
  for (size_t i = 0; i < num_listed; ++i) {
    for (const LoraPart& part : pass.scratch.parts(output.call_idx, i)) {
      const auto rank = static_cast<size_t>(part.rank);
      list.add(part.b + static_cast<size_t>(first) * rank, static_cast<size_t>(end - first) * rank);
    }
  }
}

// Share `index` of `count` of the group's A.
void fetch_a(std::span<const LoraRows> rows, const LoraGroup& group, int64_t index, int64_t count,
             FetchList& list) {
  constexpr int64_t kParts = 64;  // of one matrix
  const auto num_listed = static_cast<int64_t>(rows.size());
  const int64_t total = num_listed * static_cast<int64_t>(group.targets.size()) * kParts;
  int64_t begin = total * index / count;
  for (const int64_t end = total * (index + 1) / count; begin < end;) {
    const int64_t unit = begin / kParts;
    const int64_t unit_end = std::min(end, (unit + 1) * kParts);
    const LoraView& set = *rows[static_cast<size_t>(unit % num_listed)].set;
    const LoraTarget target = group.targets[static_cast<size_t>(unit / num_listed)];
    for (const LoraPart& part : set.at(group.layer_idx, target)) {
      const auto share = [&](int64_t position) {
        return a_elements(part, group.in_dim) * static_cast<size_t>(position - unit * kParts) /
               static_cast<size_t>(kParts);
      };
      list.add(part.a + share(begin), share(unit_end) - share(begin));
    }
    begin = unit_end;
  }
}

}  // namespace

size_t lora_b_elements(int32_t out_dim, int32_t rank) {
  constexpr auto kSlice = static_cast<size_t>(kernels::kLowRankSlice);
  const size_t num_slices = (static_cast<size_t>(out_dim) + kSlice - 1) / kSlice;
  return (num_slices * static_cast<size_t>(rank) + 1) * kSlice;
}

void LoraScratch::plan(Arena& arena, int32_t max_rows, uint32_t num_threads) {
  max_rows_ = max_rows;
  inner_slot_ = arena.add<float>(kMaxLoraCalls * static_cast<size_t>(max_rows) *
                                 static_cast<size_t>(kMaxLoraRank));
  rows_slot_ = arena.add<LoraRows>(2 * static_cast<size_t>(max_rows));
  parts_slot_ = arena.add<std::span<const LoraPart>>(kMaxLoraCalls * static_cast<size_t>(max_rows));
  spans_slot_ = arena.add<kernels::PrefetchSpan>(size_t{num_threads} * kMaxSpans);
}

void LoraScratch::bind(const Arena& arena) {
  inner_ = arena.at(inner_slot_);
  spans_ = arena.at(spans_slot_);
  rows_ = arena.at(rows_slot_);
  parts_ = arena.at(parts_slot_);
}

void LoraScratch::prepare(const BatchView& batch, const BatchView* narrowed) noexcept {
  listed_[0] = list(batch, 0);
  listed_[1] = narrowed != nullptr ? list(*narrowed, static_cast<size_t>(max_rows_)) : Listed{};
}

LoraScratch::Listed LoraScratch::list(const BatchView& batch, size_t first) noexcept {
  Listed listed{batch.spans, first, 0};
  for (int32_t i = 0; i < batch.num_spans; ++i) {
    const SpanView& span = batch.spans[i];
    if (span.lora == nullptr) continue;
    for (int32_t row = span.first_row, end = span.first_row + span.num_rows; row < end;) {
      LoraRows* last = listed.count > 0 ? &rows_[first + listed.count - 1] : nullptr;
      if (last == nullptr || last->set != span.lora || last->num_rows == kMaxListedRows ||
          last->first_row + last->num_rows != row) {
        last = &rows_[first + listed.count++];
        *last = {span.lora, row, 0};
      }
      const int32_t count = std::min(end - row, kMaxListedRows - last->num_rows);
      last->num_rows += count;
      row += count;
    }
  }
  return listed;
}

std::span<const LoraRows> LoraScratch::rows_of(const BatchView& batch) const {
  const Listed& listed = batch.spans == listed_[0].spans ? listed_[0] : listed_[1];
  return {rows_ + listed.first, listed.count};
}

std::span<kernels::PrefetchSpan> LoraScratch::thread_spans(uint32_t thread_idx) const {
  return {spans_ + size_t{thread_idx} * kMaxSpans, kMaxSpans};
}

bool has_lora(const BatchView& batch) noexcept {
  return std::any_of(batch.spans, batch.spans + batch.num_spans,
                     [](const SpanView& span) { return span.lora != nullptr; });
}

void project_lora(ThreadTeam::Worker& worker, const LoraPass& pass, const LoraGroup& group,
                  const float* rows) noexcept {
  const std::span<const LoraRows> rows_listed = pass.scratch.rows_of(pass.batch);
  const auto num_listed = static_cast<int64_t>(rows_listed.size());
  const int64_t total = num_listed * static_cast<int64_t>(group.targets.size());
  worker.for_chunks(total, 1, [&](int64_t i, int64_t) {
    const FirstThreadTimer timer(worker, pass);
    const auto listed_idx = static_cast<size_t>(i % num_listed);
    const auto call_idx = static_cast<size_t>(i / num_listed);
    const LoraRows& piece = rows_listed[listed_idx];
    std::span<const LoraPart>& parts = pass.scratch.parts(call_idx, listed_idx);
    parts = piece.set->at(group.layer_idx, group.targets[call_idx]);
    project(pass.kernels, piece, parts, group.in_dim, rows,
            pass.scratch.inner(call_idx, piece.first_row));
  });
}

void run_linear_with_lora(ThreadTeam::Worker& worker, const LoraPass& pass, const LoraGroup& group,
                          std::span<const LinearCall> calls, const ActivationBuffer& input,
                          const LoraGroup& next, std::byte* scratch) noexcept {
  const int32_t num_rows = pass.batch.num_rows;
  const std::span<const LoraRows> rows_listed = pass.scratch.rows_of(pass.batch);
  const auto split = [&](const LinearPlan& plan) {
    return split_linear(plan, plan.out_dim(), num_rows, worker.num_threads());
  };
  int64_t total = 0;
  for (const LinearCall& call : calls) total += split(*call.plan).count;
  worker.for_chunks(total, 1, [&](int64_t index, int64_t) {
    size_t call_idx = 0;
    int64_t piece_idx = index;
    while (piece_idx >= split(*calls[call_idx].plan).count) {
      piece_idx -= split(*calls[call_idx++].plan).count;
    }
    const LinearPlan& plan = *calls[call_idx].plan;
    const LinearPieces pieces = split(plan);
    const int64_t first = piece_idx * pieces.rows;
    const auto count = static_cast<int32_t>(std::min<int64_t>(pieces.rows, plan.out_dim() - first));
    const OutputPiece output = {group.targets[call_idx],     call_idx,
                                static_cast<int32_t>(first), count,
                                calls[call_idx].dst + first, static_cast<size_t>(plan.out_dim())};
    FetchList list(pass.scratch.thread_spans(worker.index()));
    if (num_rows >= kMinRowsToFetch) {
      fetch_b(pass, rows_listed.size(), output, list);
      fetch_a(rows_listed, next, index, total, list);
    }
    run_linear_piece({&plan, pieces.use_gemm, first, count, input.view(plan.kernel->activation),
                      num_rows, output.dst, output.dst_stride, list.spans()},
                     scratch);
    const FirstThreadTimer timer(worker, pass);
    expand(pass, rows_listed, output);
  });
}

}  // namespace ruvllm::ops
