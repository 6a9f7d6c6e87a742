// f32, f16 and bf16 weights on AVX2.
#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/cpu/avx2/matmul_entries.h"
#include "kernels/cpu/avx2/vec_avx2.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_float-inl.h"

namespace ruvllm::kernels::avx2 {
namespace {

using V = Vec<Avx2Isa>;

struct Tile {  // 12 sums, 3 of x and a weight
  static constexpr size_t kRows = 4;
  static constexpr size_t kNumX = 3;
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
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
  }
};

}  // namespace

void matmul_f32(const MatmulArgs& args) noexcept { matmul_float<V, FloatWeights<V>, Tile>(args); }
void gemv_f16(const MatmulArgs& args) noexcept { matmul_float<V, F16, Tile>(args); }
void gemm_f16(const MatmulArgs& args) noexcept { matmul_converting<V, F16, Tile>(args); }
void gemv_bf16(const MatmulArgs& args) noexcept { matmul_float<V, BF16, Tile>(args); }
void gemm_bf16(const MatmulArgs& args) noexcept { matmul_converting<V, BF16, Tile>(args); }

}  // namespace ruvllm::kernels::avx2
