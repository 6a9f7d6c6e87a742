#include "model/packing/weight_packer.h"

#include <algorithm>
#include <optional>

#include "base/core/checked.h"
#include "base/system/topology/memory_nodes.h"
#include "base/threads/start_thread.h"
#include "kernels/cpu/packed/packed_layout.h"

namespace ruvllm::model {
namespace {

using kernels::kSliceRows;

constexpr size_t kAlignment = 64;
// Of mapped pages, given back at once: few calls, and little memory.
constexpr size_t kReleaseBytes = size_t{1} << 20;

// Rows are counted in whole slices. None if the size overflows.
std::optional<size_t> packed_bytes(const ops::LinearPlan& plan) {
  const size_t slices = (plan.weight.num_rows + kSliceRows - 1) / kSliceRows;
  const std::optional<size_t> bytes =
      checked_mul<size_t>(slices * kSliceRows, plan.packed_row_stride());
  return bytes ? checked_align<size_t>(*bytes, kAlignment) : std::nullopt;
}

}  // namespace

Result<std::unique_ptr<WeightPacker>> WeightPacker::create(const formats::GgufFile& file,
                                                           ModelWeights& weights,
                                                           uint64_t max_bytes) {
  std::unique_ptr<WeightPacker> packer(new WeightPacker(file));
  size_t end = 0;
  // `part_rows`: products run on parts of so many rows, which must be whole slices.
  const auto add = [&](ops::LinearPlan& plan, int32_t part_rows) {
    const bool is_whole = part_rows == plan.out_dim() || part_rows % kSliceRows == 0;
    if (plan.kernel == nullptr || plan.kernel->packed == nullptr || !is_whole) return;
    const std::optional<size_t> bytes = packed_bytes(plan);
    if (!bytes || *bytes > max_bytes - end) return;
    auto matrix = std::make_unique<Matrix>();
    matrix->plan = &plan;
    matrix->offset = end;
    end += *bytes;
    packer->matrices_.push_back(std::move(matrix));
  };
  for (LayerWeights& layer : weights.layers) {
    layer.for_each_product([&](ops::LinearPlan& plan, double) {
      const bool is_of_experts =
          layer.experts && (&plan == &layer.experts->gate || &plan == &layer.experts->up ||
                            &plan == &layer.experts->down);
      add(plan,
          is_of_experts ? plan.out_dim() / layer.experts->routing.num_experts : plan.out_dim());
    });
  }
  add(weights.output, weights.output.out_dim());
  RUVLLM_ASSIGN(packer->buffer_, Buffer::allocate(end, HugePages::kPrefer, "packed weights"));
  interleave_over_nodes(packer->buffer_.range());
  for (const auto& matrix : packer->matrices_) matrix->plan->packed = &matrix->slices;
  return packer;
}

WeightPacker::~WeightPacker() {
  stop_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

void WeightPacker::run() noexcept {
  for (const auto& matrix : matrices_) {
    if (stop_.load(std::memory_order_relaxed)) return;
    pack(*matrix);
  }
}

Status WeightPacker::start() {
  RUVLLM_ASSIGN(thread_, start_thread([this] { run(); }));
  return {};
}

void WeightPacker::pack(Matrix& matrix) noexcept {
  const ops::LinearPlan& plan = *matrix.plan;
  const kernels::MatmulKernel& kernel = *plan.kernel;
  const size_t stride = plan.weight.row_stride;
  const int32_t num_blocks = plan.in_dim() / kernel.layout.block_elements;
  std::byte* slices = buffer_.data() + matrix.offset;
  size_t released = 0;  // rows whose pages were given back
  for (int32_t row = 0; row < plan.out_dim(); row += kSliceRows) {
    const auto at = static_cast<size_t>(row);
    // Given back on the way, so that an output matrix, a third of some models, is not in memory
    // twice. A product that still reads them gets them back from the page cache.
    if ((at - released) * stride >= kReleaseBytes) {
      file_.release_pages({plan.weight.row(released), (at - released) * stride});
      released = at;
    }
    kernel.pack_slice(kernel.layout, plan.weight.row(at), stride,
                      std::min(kSliceRows, plan.out_dim() - row), num_blocks,
                      slices + at * plan.packed_row_stride());
  }
  matrix.slices.store(slices, std::memory_order_release);
  // All of them once more: products that ran meanwhile may have brought some back.
  file_.release_pages({plan.weight.row(0), plan.weight.num_rows * stride});
  bytes_packed_.fetch_add(plan.weight.num_rows * plan.packed_row_stride(),
                          std::memory_order_relaxed);
}

}  // namespace ruvllm::model
