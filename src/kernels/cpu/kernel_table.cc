#include "kernels/cpu/kernel_table.h"

#include "kernels/cpu/generic/matmul_generic.h"
#if defined(__x86_64__)
#include "kernels/cpu/avx2/matmul_table.h"
#endif

namespace ruvllm::kernels {

void fill_generic(KernelTable& table) { fill_generic_matmul(table.matmul); }

#if defined(__x86_64__)
void overlay_avx2(KernelTable& table) { overlay_avx2_matmul(table.matmul); }
#endif

}  // namespace ruvllm::kernels
