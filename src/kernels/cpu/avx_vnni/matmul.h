// The AVX-VNNI products, for the table.
#pragma once

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/packed/packed_products.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

void overlay_avx_vnni_matmul(MatmulKernel (&matmul)[kNumDTypes]);
void overlay_avx_vnni_grouped_matmul(MatmulKernel (&grouped)[kNumDTypes]);

namespace avx_vnni {
extern const PackedProducts kPackedProducts;
}

}  // namespace ruvllm::kernels
