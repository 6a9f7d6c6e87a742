// Scalar encoders and decoders of every tensor type: the definition that all kernels are held to.
//
// Rows are contiguous, at any byte address; num_elements is a multiple of the type's
// block_elements. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"

namespace ruvllm {

// dst[i] = value of element i, in float arithmetic with the operation order of ggml.
void decode_row(DType dtype, const void* src, size_t num_elements, float* dst);

// Whether encode_row knows the type; all types decode.
bool can_encode(DType dtype);

// For types with can_encode. Types of 32 elements with evenly spaced levels and MXFP4 are rounded
// as ggml rounds them, bit for bit; the others are searched for the scales (and minimums) of least
// weighted squared error. `importance` has a weight >= 0 and finite for each element, e.g. the mean
// square of the activations that a column meets, and makes a search of every type but Q8_0 and
// plain floats; empty: large values count more.
//
// Non-finite input is encoded as zero; finite input decodes to finite values: what a type cannot
// hold becomes its largest number.
void encode_row(DType dtype, const float* src, size_t num_elements, void* dst,
                std::span<const float> importance = {});

}  // namespace ruvllm
