// The float64 reference of the matrix products, on the same quantized bits: for tests only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels::ref {

// value: sum of w * x over k. magnitude: sum of |t| over the exact terms t that a kernel adds up:
// w * x for float types, otherwise d_w * d_x * isum and dmin_w * d_x * msum of each block.
// f16 and bf16 with 16-bit activations: the grouped product.
struct ReferenceDot {
  double value = 0.0;
  double magnitude = 0.0;
};

// The element dst[x_row, weight_row] of `args`, of which dst and scratch are ignored.
ReferenceDot dot(DType dtype, const MatmulArgs& args, int32_t weight_row, int32_t x_row);

// Weight `k` of a row in double: integer parts times the scales as stored.
double weight_value(DType dtype, const std::byte* row, size_t k);

// What a kernel takes as its activation kind for this type, unless it is a grouped product.
ActivationKind activation_kind(DType dtype);

}  // namespace ruvllm::kernels::ref
