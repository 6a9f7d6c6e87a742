#include "kernels/cpu/kernel_table.h"

#include "kernels/cpu/generic/attention.h"
#include "kernels/cpu/generic/elementwise.h"
#include "kernels/cpu/generic/matmul_generic.h"
#if defined(__x86_64__)
#include "kernels/cpu/amx/matmul.h"
#include "kernels/cpu/avx2/attention.h"
#include "kernels/cpu/avx2/elementwise.h"
#include "kernels/cpu/avx2/matmul_table.h"
#include "kernels/cpu/avx512/attention.h"
#include "kernels/cpu/avx512/elementwise.h"
#include "kernels/cpu/avx512/matmul.h"
#include "kernels/cpu/avx_vnni/matmul.h"
#elif defined(__aarch64__)
#include "kernels/cpu/neon/attention.h"
#include "kernels/cpu/neon/elementwise.h"
#include "kernels/cpu/neon/matmul/matmul.h"
#endif

namespace ruvllm::kernels {

void fill_generic(KernelTable& table) {
  fill_generic_matmul(table.matmul);
  fill_generic_elementwise(table.elementwise);
  fill_generic_attention(table.attention);
}

#if defined(__x86_64__)
void overlay_avx2(KernelTable& table) {
  overlay_avx2_matmul(table.matmul);
  overlay_avx2_grouped_matmul(table.grouped_matmul);
  overlay_avx2_elementwise(table.elementwise);
  overlay_avx2_attention(table.attention);
}

void overlay_avx_vnni(KernelTable& table) {
  overlay_avx_vnni_matmul(table.matmul);
  overlay_avx_vnni_grouped_matmul(table.grouped_matmul);
}

void overlay_avx512(KernelTable& table) {
  overlay_avx512_matmul(table.matmul);
  overlay_avx512_grouped_matmul(table.grouped_matmul);
  overlay_avx512_elementwise(table.elementwise);
  overlay_avx512_attention(table.attention);
}

void overlay_amx(KernelTable& table) { overlay_amx_matmul(table.matmul); }
#elif defined(__aarch64__)
void overlay_neon(KernelTable& table) {
  overlay_neon_matmul(table.matmul);
  overlay_neon_elementwise(table.elementwise);
  overlay_neon_attention(table.attention);
}

void overlay_neon_dotprod(KernelTable& table) { overlay_neon_dotprod_matmul(table.matmul); }

void overlay_neon_i8mm(KernelTable& table) { overlay_neon_i8mm_matmul(table.matmul); }
#endif

}  // namespace ruvllm::kernels
