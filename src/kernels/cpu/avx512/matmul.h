// The AVX-512 VNNI products, for the table.
#pragma once

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/packed/packed_products.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

void overlay_avx512_matmul(MatmulKernel (&matmul)[kNumDTypes]);

namespace avx512 {
extern const PackedProducts kPackedProducts;
}

}  // namespace ruvllm::kernels
