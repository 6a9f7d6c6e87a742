#include "tensor/codec.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/core/check.h"
#include "base/numeric/half.h"
#include "tensor/codec_blocks.h"

namespace ruvllm {
namespace {

// Blocks are copied out and in: a mapped row need not have the alignment of the block struct.
template <typename Block>
void decode_blocks(const std::byte* src, size_t num_elements, size_t block_elements, float* dst) {
  for (size_t i = 0; i < num_elements; i += block_elements, src += sizeof(Block)) {
    Block block;
    std::memcpy(&block, src, sizeof(Block));
    codec::decode_block(block, dst + i);
  }
}

template <typename Bits, typename Convert>
void decode_scalars(const std::byte* src, size_t num_elements, float* dst, Convert convert) {
  for (size_t i = 0; i < num_elements; ++i) {
    Bits bits;
    std::memcpy(&bits, src + i * sizeof(Bits), sizeof(Bits));
    dst[i] = convert(bits);
  }
}

// f16_to_f32 in arithmetic that compilers make vectors of; without instructions for binary16 it is
// a function call for each value. The product is exact and makes normal numbers of subnormal ones.
float widen_f16(F16Bits half) {
  const uint32_t bits = half;
  const uint32_t magnitude = (bits & 0x7fffu) << 13;
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t finite = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  const uint32_t special = magnitude | 0x7f800000u;  // infinite or not a number
  return std::bit_cast<float>(sign | ((bits & 0x7c00u) == 0x7c00u ? special : finite));
}

}  // namespace

void decode_row(DType dtype, const void* src, size_t num_elements, float* dst) {
  const size_t block = dtype_info(dtype).block_elements;
  RUVLLM_CHECK(num_elements % block == 0);
  const std::byte* bytes = static_cast<const std::byte*>(src);
  switch (dtype) {
    case DType::kF32:
      if (num_elements > 0) std::memcpy(dst, src, num_elements * sizeof(float));
      return;
    case DType::kF16:
      return decode_scalars<F16Bits>(bytes, num_elements, dst, widen_f16);
    case DType::kBF16:
      return decode_scalars<BF16Bits>(bytes, num_elements, dst, bf16_to_f32);
    case DType::kQ4_0:
      return decode_blocks<BlockQ4_0>(bytes, num_elements, block, dst);
    case DType::kQ5_0:
      return decode_blocks<BlockQ5_0>(bytes, num_elements, block, dst);
    case DType::kQ8_0:
      return decode_blocks<BlockQ8_0>(bytes, num_elements, block, dst);
    case DType::kQ4_K:
      return decode_blocks<BlockQ4_K>(bytes, num_elements, block, dst);
    case DType::kQ5_K:
      return decode_blocks<BlockQ5_K>(bytes, num_elements, block, dst);
    case DType::kQ6_K:
      return decode_blocks<BlockQ6_K>(bytes, num_elements, block, dst);
    case DType::kQ4_1:
      return decode_blocks<BlockQ4_1>(bytes, num_elements, block, dst);
    case DType::kQ5_1:
      return decode_blocks<BlockQ5_1>(bytes, num_elements, block, dst);
    case DType::kQ2_K:
      return decode_blocks<BlockQ2_K>(bytes, num_elements, block, dst);
    case DType::kQ3_K:
      return decode_blocks<BlockQ3_K>(bytes, num_elements, block, dst);
    case DType::kIQ4_NL:
      return decode_blocks<BlockIQ4_NL>(bytes, num_elements, block, dst);
    case DType::kIQ4_XS:
      return decode_blocks<BlockIQ4_XS>(bytes, num_elements, block, dst);
    case DType::kMXFP4:
      return decode_blocks<BlockMXFP4>(bytes, num_elements, block, dst);
    case DType::kIQ2_XXS:
      return decode_blocks<BlockIQ2_XXS>(bytes, num_elements, block, dst);
    case DType::kIQ2_XS:
      return decode_blocks<BlockIQ2_XS>(bytes, num_elements, block, dst);
    case DType::kIQ2_S:
      return decode_blocks<BlockIQ2_S>(bytes, num_elements, block, dst);
    case DType::kIQ3_XXS:
      return decode_blocks<BlockIQ3_XXS>(bytes, num_elements, block, dst);
    case DType::kIQ3_S:
      return decode_blocks<BlockIQ3_S>(bytes, num_elements, block, dst);
    case DType::kIQ1_S:
      return decode_blocks<BlockIQ1_S>(bytes, num_elements, block, dst);
    case DType::kIQ1_M:
      return decode_blocks<BlockIQ1_M>(bytes, num_elements, block, dst);
    case DType::kTQ1_0:
      return decode_blocks<BlockTQ1_0>(bytes, num_elements, block, dst);
    case DType::kTQ2_0:
      return decode_blocks<BlockTQ2_0>(bytes, num_elements, block, dst);
  }
}

}  // namespace ruvllm
