// The function table of the CPU backend. Start from fill_generic(), then lay ISAs over it that the
// processor has; every entry names its implementation. Chosen once by `device`, then immutable.
#pragma once

#include <cstddef>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/matmul.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {

struct KernelTable {
  MatmulKernel matmul[kNumDTypes];  // by DType
  // f16 and bf16 with 14-bit activations (matmul.h), for rows of whole groups of 32: twice as fast
  // as `matmul`. Entries without a name do not exist here.
  MatmulKernel grouped_matmul[kNumDTypes];
  ElementwiseKernels elementwise;
  AttentionKernels attention;

  // The product that matrices of this type with rows of num_cols weights take.
  const MatmulKernel& product(DType dtype, size_t num_cols) const {
    const MatmulKernel& grouped = grouped_matmul[static_cast<size_t>(dtype)];
    const bool is_grouped = grouped.name != nullptr && num_cols % kWeightGroup == 0;
    return is_grouped ? grouped : matmul[static_cast<size_t>(dtype)];
  }
};

void fill_generic(KernelTable& table);
#if defined(__x86_64__)
void overlay_avx2(KernelTable& table);      // needs AVX2, FMA and F16C
void overlay_avx_vnni(KernelTable& table);  // on top of avx2; needs AVX-VNNI
void overlay_avx512(KernelTable& table);    // on top of avx2; needs AVX-512 F, BW, DQ, VL and VNNI
void overlay_amx(KernelTable& table);  // on top of avx512; needs AMX-INT8 and the right to tiles
#elif defined(__aarch64__)
void overlay_neon(KernelTable& table);
void overlay_neon_dotprod(KernelTable& table);  // on top of neon; needs FEAT_DotProd
void overlay_neon_i8mm(KernelTable& table);     // on top of neon_dotprod; needs FEAT_I8MM
#endif

}  // namespace ruvllm::kernels
