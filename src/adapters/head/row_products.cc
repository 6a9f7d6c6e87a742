#include "adapters/head/row_products.h"

#include <algorithm>

#include "base/core/check.h"
#include "tensor/codec.h"

namespace ruvllm::adapters {
namespace {

constexpr size_t kScratchAlignment = 64;

}  // namespace

RowProducts::RowProducts(const kernels::KernelTable& kernels, int32_t num_cols, int32_t max_inputs)
    : kernels_(kernels),
      kernel_(kernels.product(DType::kQ8_0, static_cast<size_t>(num_cols))),
      num_cols_(num_cols),
      inputs_(static_cast<size_t>(num_cols) * static_cast<size_t>(max_inputs)),
      scales_(inputs_.size() / kBlock32),
      scratch_(kernel_.scratch_bytes(num_cols) + kScratchAlignment) {
  RUVLLM_CHECK(num_cols % kBlock32 == 0 &&
               kernel_.activation == kernels::ActivationKind::kQ16Group32);
}

std::byte* RowProducts::aligned_scratch() {
  const size_t offset = reinterpret_cast<uintptr_t>(scratch_.data()) % kScratchAlignment;
  return scratch_.data() + (kScratchAlignment - offset) % kScratchAlignment;
}

void RowProducts::set_input(int32_t index, std::span<const float> x) {
  const size_t first = static_cast<size_t>(index) * static_cast<size_t>(num_cols_);
  RUVLLM_DCHECK(x.size() == static_cast<size_t>(num_cols_) && first < inputs_.size());
  kernels_.elementwise.quantize_group32_i16(x.data(), num_cols_, inputs_.data() + first,
                                            scales_.data() + first / kBlock32);
}

void RowProducts::multiply(const BlockQ8_0* rows, int32_t num_rows, int32_t num_inputs, float* dst,
                           size_t dst_stride) {
  const bool use_gemm = num_inputs >= kernel_.gemm_min_x_rows;
  const int32_t piece = use_gemm ? kernel_.gemm_chunk_rows : std::max(num_rows, 1);
  const size_t row_blocks = static_cast<size_t>(blocks_per_row());
  for (int32_t first = 0; first < num_rows; first += piece) {
    kernels::MatmulArgs args;
    args.weights =
        reinterpret_cast<const std::byte*>(rows + static_cast<size_t>(first) * row_blocks);
    args.weight_row_stride = row_blocks * sizeof(BlockQ8_0);
    args.num_weight_rows = std::min(piece, num_rows - first);
    args.num_cols = num_cols_;
    args.x.q16 = inputs_.data();
    args.x.scales = scales_.data();
    args.num_x_rows = num_inputs;
    args.dst = dst + first;
    args.dst_stride = dst_stride;
    args.scratch = aligned_scratch();
    (use_gemm ? kernel_.gemm : kernel_.gemv)(args);
  }
}

void encode_row_q8(std::span<const float> x, BlockQ8_0* row) {
  encode_row(DType::kQ8_0, x.data(), x.size(), row);
}

}  // namespace ruvllm::adapters
