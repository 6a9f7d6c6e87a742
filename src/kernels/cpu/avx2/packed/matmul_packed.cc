#include "kernels/cpu/avx2/packed/matmul_packed.h"

#include "kernels/cpu/avx2/packed/avx2_pairs.h"
#include "kernels/cpu/packed/packed_products-inl.h"

namespace ruvllm::kernels::avx2 {

constinit const PackedProducts kPackedProducts = packed_products<Avx2Pairs>();

}  // namespace ruvllm::kernels::avx2
