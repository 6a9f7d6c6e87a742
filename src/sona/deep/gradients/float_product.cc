#include "sona/deep/gradients/float_product.h"

#include <algorithm>

namespace ruvllm::sona {
namespace {

const kernels::MatmulKernel& float_kernel(const kernels::KernelTable& kernels) {
  return kernels.matmul[static_cast<size_t>(DType::kF32)];
}

}  // namespace

void run_float_product(const kernels::KernelTable& kernels, const FloatProduct& product,
                       std::byte* scratch) noexcept {
  const kernels::MatmulKernel& kernel = float_kernel(kernels);
  kernels::MatmulArgs args;
  const size_t stride =
      product.weight_stride > 0 ? product.weight_stride : static_cast<size_t>(product.num_cols);
  args.weight_row_stride = stride * sizeof(float);
  args.num_cols = product.num_cols;
  args.x.f32 = product.x;
  args.num_x_rows = product.num_x_rows;
  args.dst_stride = product.dst_stride;
  args.scratch = scratch;
  const bool use_gemm = product.num_x_rows >= kernel.gemm_min_x_rows;
  const int32_t chunk = use_gemm ? kernel.gemm_chunk_rows : product.num_weight_rows;
  for (int32_t row = 0; row < product.num_weight_rows; row += chunk) {
    args.weights = reinterpret_cast<const std::byte*>(product.weights) +
                   static_cast<size_t>(row) * args.weight_row_stride;
    args.num_weight_rows = std::min(chunk, product.num_weight_rows - row);
    args.dst = product.dst + row;
    use_gemm ? kernel.gemm(args) : kernel.gemv(args);
  }
}

size_t float_product_scratch_bytes(const kernels::KernelTable& kernels, int32_t num_cols) {
  return (float_kernel(kernels).scratch_bytes(num_cols) + 63) / 64 * 64;
}

}  // namespace ruvllm::sona
