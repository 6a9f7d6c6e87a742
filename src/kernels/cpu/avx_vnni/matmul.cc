#include "kernels/cpu/avx_vnni/matmul.h"

#include "kernels/cpu/avx_vnni/pairs.h"
#include "kernels/cpu/packed/packed_products-inl.h"

namespace ruvllm::kernels::avx_vnni {

constinit const PackedProducts kPackedProducts = packed_products<AvxVnniPairs>();

}  // namespace ruvllm::kernels::avx_vnni
