// Scalar encoders and decoders of every tensor type: the definition that all kernels are held to.
//
// Rows are contiguous, at any byte address; num_elements is a multiple of the type's
// block_elements. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace ruvllm {

// dst[i] = value of element i, in float arithmetic with the operation order of ggml.
void decode_row(DType dtype, const void* src, size_t num_elements, float* dst);

// Whether encode_row knows the type; all types decode.
bool can_encode(DType dtype);

// For types with can_encode. Quantizes with ggml's reference rounding (k-quants: a search for scale
// and min of the same kind, without an importance matrix). Non-finite input is encoded as zero;
// finite input decodes to finite values: what a type cannot hold becomes its largest number.
void encode_row(DType dtype, const float* src, size_t num_elements, void* dst);

}  // namespace ruvllm
