// f32, f16 and bf16 weights on AVX-512.
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx512/matmul.h"
#include "kernels/cpu/avx512/vec_avx512.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_float-inl.h"

namespace ruvllm::kernels::avx512 {
namespace {

using V = Vec<Avx512Isa>;

struct Tile {  // 24 sums, 4 of x and a weight
  static constexpr size_t kRows = 6;
  static constexpr size_t kNumX = 4;
  static constexpr size_t kSingleRows = 8;
  static constexpr size_t kStripRows = kFloatStripRows;
};

struct F16 {
  using Element = uint16_t;
  static RUVLLM_ALWAYS_INLINE V load(const uint16_t* src) { return V::load_f16(src); }
};

struct BF16 {
  using Element = uint16_t;
  static RUVLLM_ALWAYS_INLINE V load(const uint16_t* src) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
  }
};

}  // namespace

void matmul_f32(const MatmulArgs& args) noexcept { matmul_float<V, FloatWeights<V>, Tile>(args); }
void gemv_f16(const MatmulArgs& args) noexcept { matmul_float<V, F16, Tile>(args); }
void gemm_f16(const MatmulArgs& args) noexcept { matmul_converting<V, F16, Tile>(args); }
void gemv_bf16(const MatmulArgs& args) noexcept { matmul_float<V, BF16, Tile>(args); }
void gemm_bf16(const MatmulArgs& args) noexcept { matmul_converting<V, BF16, Tile>(args); }

}  // namespace ruvllm::kernels::avx512
