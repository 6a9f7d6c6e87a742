// The AVX2 products of packed slices, for the table.
#pragma once

#include "kernels/cpu/packed/packed_products.h"

namespace ruvllm::kernels::avx2 {

extern const PackedProducts kPackedProducts;

}  // namespace ruvllm::kernels::avx2
