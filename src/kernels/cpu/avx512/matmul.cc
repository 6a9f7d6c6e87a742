// Quantized products with AVX-512 VNNI: vpdpbusd adds four products of unsigned weights and signed
// activations to each 32-bit lane, so that neither sums nor products can overflow and 32 registers
// hold eight rows of x.
#include "kernels/cpu/avx512/matmul.h"

#include <cstddef>

#include "kernels/cpu/avx512/vnni.h"
#include "kernels/cpu/packed/packed_formats-inl.h"
#include "kernels/cpu/packed/packed_matmul-inl.h"

namespace ruvllm::kernels::avx512 {
namespace {

template <class Format>
void packed(const MatmulArgs& args) noexcept {
  matmul_packed<Avx512Vnni, Format>(args);
}

template <class Format, DType kType>
void packing(const MatmulArgs& args) noexcept {
  matmul_packing<Avx512Vnni, Format>(args, packed_layout(kType));
}

}  // namespace

void packed_q4_0(const MatmulArgs& args) noexcept { packed<PackedQ4_0<Avx512Vnni>>(args); }
void packed_q8_0(const MatmulArgs& args) noexcept { packed<PackedQ8_0<Avx512Vnni>>(args); }
void packed_q4_k(const MatmulArgs& args) noexcept { packed<PackedQ45K<Avx512Vnni, false>>(args); }
void packed_q5_k(const MatmulArgs& args) noexcept { packed<PackedQ45K<Avx512Vnni, true>>(args); }
void packed_q6_k(const MatmulArgs& args) noexcept { packed<PackedQ6K<Avx512Vnni>>(args); }

void gemm_q4_0(const MatmulArgs& args) noexcept {
  packing<PackedQ4_0<Avx512Vnni>, DType::kQ4_0>(args);
}
void gemm_q8_0(const MatmulArgs& args) noexcept {
  packing<PackedQ8_0<Avx512Vnni>, DType::kQ8_0>(args);
}
void gemm_q4_k(const MatmulArgs& args) noexcept {
  packing<PackedQ45K<Avx512Vnni, false>, DType::kQ4_K>(args);
}
void gemm_q5_k(const MatmulArgs& args) noexcept {
  packing<PackedQ45K<Avx512Vnni, true>, DType::kQ5_K>(args);
}
void gemm_q6_k(const MatmulArgs& args) noexcept {
  packing<PackedQ6K<Avx512Vnni>, DType::kQ6_K>(args);
}

void pack_slice_avx512(const PackedLayout& layout, const std::byte* rows, size_t row_stride,
                       int32_t num_rows, int32_t num_blocks, std::byte* slice) noexcept {
  pack_slice_by_words(layout, rows, row_stride, num_rows, num_blocks, slice);
}

}  // namespace ruvllm::kernels::avx512
