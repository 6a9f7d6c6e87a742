// Quantized products with AVX-512 VNNI: vpdpbusd adds four products of unsigned weights and signed
// activations to each 32-bit lane, so that neither sums nor products can overflow and 32 registers
// hold eight rows of x.
#include "kernels/cpu/avx512/matmul.h"

#include "kernels/cpu/avx512/vnni.h"
#include "kernels/cpu/packed/packed_products-inl.h"

namespace ruvllm::kernels::avx512 {

constinit const PackedProducts kPackedProducts = packed_products<Avx512Vnni>();

}  // namespace ruvllm::kernels::avx512
