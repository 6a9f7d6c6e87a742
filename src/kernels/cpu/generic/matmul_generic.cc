#include "kernels/cpu/generic/matmul_generic.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/numeric/half.h"
#include "kernels/cpu/generic/matmul_unpack.h"
#include "kernels/cpu/generic/matmul_unpack_iq.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels {
namespace {

size_t no_scratch(int32_t) { return 0; }

constexpr int kMaxTileX = 8;  // x rows that share one unpacking of the weights

struct XBlock {
  const int8_t* q8;
  const int16_t* q16;
  const int16_t* sums16;
  const int16_t* sums32;
  float d;
};

// Of the forms of x, the kernel's own alone is there.
template <class T>
const T* at(const T* values, size_t index) {
  return values == nullptr ? nullptr : values + index;
}

template <class X>
int32_t dot(const int8_t* a, const X* b, int count) {
  int32_t sum = 0;
  for (int i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// The chains of matmul.h, one block of one weight row times one x row.
float add_block32(const UnpackedBlock& weight, const XBlock& x, float acc) {
  return std::fma(weight.d * x.d, static_cast<float>(dot(weight.q, x.q8, kBlock32)), acc);
}

float add_block32_i16(const UnpackedBlock& weight, const XBlock& x, float acc) {
  return std::fma(weight.d * x.d, static_cast<float>(dot(weight.q, x.q16, kBlock32)), acc);
}

template <int kScaleGroup>
float add_scaled(const UnpackedBlock& weight, const XBlock& x, float acc) {
  int32_t isum = 0;
  for (int i = 0; i < kSuperblock / kScaleGroup; ++i) {
    isum += weight.scale[i] * dot(weight.q + kScaleGroup * i, x.q8 + kScaleGroup * i, kScaleGroup);
  }
  return std::fma(weight.d * x.d, static_cast<float>(isum), acc);
}

float add_min(const UnpackedBlock& weight, const XBlock& x, int32_t msum, float acc) {
  return std::fma(-(weight.dmin * x.d), static_cast<float>(msum), acc);
}

float add_block32_with_min(const UnpackedBlock& weight, const XBlock& x, float acc) {
  return add_min(weight, x, weight.min[0] * x.sums32[0], add_block32(weight, x, acc));
}

template <int kScaleGroup>
float add_with_mins(const UnpackedBlock& weight, const XBlock& x, float acc) {
  const int16_t* sums = kScaleGroup == 16 ? x.sums16 : x.sums32;
  int32_t msum = 0;
  for (int i = 0; i < kSuperblock / kScaleGroup; ++i) msum += weight.min[i] * sums[i];
  return add_min(weight, x, msum, add_scaled<kScaleGroup>(weight, x, acc));
}

using AddBlock = float (*)(const UnpackedBlock&, const XBlock&, float);

template <class Block, int kElements, AddBlock kAddBlock>
void matmul_quantized(const MatmulArgs& args) noexcept {
  const size_t num_cols = static_cast<size_t>(args.num_cols);
  const size_t num_blocks = num_cols / kElements;
  const size_t num_x_rows = static_cast<size_t>(args.num_x_rows);
  for (int32_t r = 0; r < args.num_weight_rows; ++r) {
    const std::byte* row = args.weights + static_cast<size_t>(r) * args.weight_row_stride;
    for (size_t first = 0; first < num_x_rows; first += kMaxTileX) {
      const size_t count = num_x_rows - first < kMaxTileX ? num_x_rows - first : kMaxTileX;
      float acc[kMaxTileX] = {};
      for (size_t b = 0; b < num_blocks; ++b) {
        Block block;
        std::memcpy(&block, row + b * sizeof(Block), sizeof(Block));
        UnpackedBlock weight;
        unpack(block, &weight);
        for (size_t i = 0; i < count; ++i) {
          const size_t m = first + i;
          const size_t k = m * num_cols + b * kElements;
          const XBlock x = {.q8 = at(args.x.q8, k),
                            .q16 = at(args.x.q16, k),
                            .sums16 = at(args.x.sums16, k / 16),
                            .sums32 = at(args.x.sums32, k / 32),
                            .d = args.x.scales[m * num_blocks + b]};
          acc[i] = kAddBlock(weight, x, acc[i]);
        }
      }
      for (size_t i = 0; i < count; ++i) {
        args.dst[(first + i) * args.dst_stride + static_cast<size_t>(r)] = acc[i];
      }
    }
  }
}

float load_f32(const std::byte* src) {
  float value;
  std::memcpy(&value, src, sizeof(value));
  return value;
}

uint16_t load_u16(const std::byte* src) {
  uint16_t value;
  std::memcpy(&value, src, sizeof(value));
  return value;
}

float load_f16(const std::byte* src) { return f16_to_f32(load_u16(src)); }
float load_bf16(const std::byte* src) { return bf16_to_f32(load_u16(src)); }

// Order of an element's sum: 8 lanes, lane l adding elements l, l + 8, ... ; then lanes pairwise.
template <size_t kBytes, float (*kLoad)(const std::byte*)>
void matmul_float(const MatmulArgs& args) noexcept {
  constexpr size_t kLanes = 8;
  const size_t num_cols = static_cast<size_t>(args.num_cols);
  for (size_t r = 0; r < static_cast<size_t>(args.num_weight_rows); ++r) {
    const std::byte* row = args.weights + r * args.weight_row_stride;
    for (size_t m = 0; m < static_cast<size_t>(args.num_x_rows); ++m) {
      const float* x = args.x.f32 + m * num_cols;
      float lanes[kLanes] = {};
      for (size_t k = 0; k < num_cols; k += kLanes) {
        const size_t count = num_cols - k < kLanes ? num_cols - k : kLanes;
        for (size_t l = 0; l < count; ++l) lanes[l] += kLoad(row + (k + l) * kBytes) * x[k + l];
      }
      for (size_t half = kLanes / 2; half > 0; half /= 2) {
        for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
      }
      args.dst[m * args.dst_stride + r] = lanes[0];
    }
  }
}

MatmulKernel entry(const char* name, ActivationKind activation, MatmulFn function) {
  return {.name = name,
          .activation = activation,
          .gemv = function,
          .gemm = function,
          .gemm_min_x_rows = 2,
          .gemv_chunk_rows = 8,
          .gemm_chunk_rows = 64,
          .scratch_bytes = no_scratch};
}

}  // namespace

void fill_generic_matmul(MatmulKernel (&matmul)[kNumDTypes]) {
  using enum DType;
  constexpr auto kF32Rows = ActivationKind::kF32;
  constexpr auto kGroup32 = ActivationKind::kQ8Group32;
  constexpr auto kGroup256 = ActivationKind::kQ8Group256;
  const auto set = [&](DType dtype, MatmulKernel kernel) {
    matmul[static_cast<size_t>(dtype)] = kernel;
  };
  set(kF32, entry("generic f32", kF32Rows, matmul_float<4, load_f32>));
  set(kF16, entry("generic f16", kF32Rows, matmul_float<2, load_f16>));
  set(kBF16, entry("generic bf16", kF32Rows, matmul_float<2, load_bf16>));
  set(kQ4_0, entry("generic q4_0", kGroup32, matmul_quantized<BlockQ4_0, 32, add_block32>));
  set(kQ5_0, entry("generic q5_0", kGroup32, matmul_quantized<BlockQ5_0, 32, add_block32>));
  set(kQ8_0, entry("generic q8_0", ActivationKind::kQ16Group32,
                   matmul_quantized<BlockQ8_0, 32, add_block32_i16>));
  set(kQ4_K, entry("generic q4_K", kGroup256, matmul_quantized<BlockQ4_K, 256, add_with_mins<32>>));
  set(kQ5_K, entry("generic q5_K", kGroup256, matmul_quantized<BlockQ5_K, 256, add_with_mins<32>>));
  set(kQ6_K, entry("generic q6_K", kGroup256, matmul_quantized<BlockQ6_K, 256, add_scaled<16>>));
  set(kQ4_1,
      entry("generic q4_1", kGroup32, matmul_quantized<BlockQ4_1, 32, add_block32_with_min>));
  set(kQ5_1,
      entry("generic q5_1", kGroup32, matmul_quantized<BlockQ5_1, 32, add_block32_with_min>));
  set(kQ2_K, entry("generic q2_K", kGroup256, matmul_quantized<BlockQ2_K, 256, add_with_mins<16>>));
  set(kQ3_K, entry("generic q3_K", kGroup256, matmul_quantized<BlockQ3_K, 256, add_scaled<16>>));
  set(kIQ4_NL, entry("generic iq4_nl", ActivationKind::kQ16Group32,
                     matmul_quantized<BlockIQ4_NL, 32, add_block32_i16>));
  set(kIQ4_XS,
      entry("generic iq4_xs", kGroup256, matmul_quantized<BlockIQ4_XS, 256, add_scaled<32>>));
  set(kMXFP4, entry("generic mxfp4", kGroup32, matmul_quantized<BlockMXFP4, 32, add_block32>));
  set(kIQ2_XXS,
      entry("generic iq2_xxs", kGroup256, matmul_quantized<BlockIQ2_XXS, 256, add_scaled<32>>));
  set(kIQ2_XS,
      entry("generic iq2_xs", kGroup256, matmul_quantized<BlockIQ2_XS, 256, add_scaled<16>>));
  set(kIQ2_S, entry("generic iq2_s", kGroup256, matmul_quantized<BlockIQ2_S, 256, add_scaled<16>>));
  set(kIQ3_XXS,
      entry("generic iq3_xxs", kGroup256, matmul_quantized<BlockIQ3_XXS, 256, add_scaled<32>>));
  set(kIQ3_S, entry("generic iq3_s", kGroup256, matmul_quantized<BlockIQ3_S, 256, add_scaled<32>>));
  set(kIQ1_S, entry("generic iq1_s", kGroup256, matmul_quantized<BlockIQ1_S, 256, add_scaled<32>>));
  set(kIQ1_M, entry("generic iq1_m", kGroup256, matmul_quantized<BlockIQ1_M, 256, add_scaled<16>>));
  set(kTQ1_0, entry("generic tq1_0", kGroup256, matmul_quantized<BlockTQ1_0, 256, add_scaled<32>>));
  set(kTQ2_0, entry("generic tq2_0", kGroup256, matmul_quantized<BlockTQ2_0, 256, add_scaled<32>>));
}

}  // namespace ruvllm::kernels
