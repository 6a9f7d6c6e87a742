#include "tensor/codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/core/check.h"
#include "base/numeric/half.h"
#include "tensor/codec_blocks.h"

namespace ruvllm {
namespace {

float finite_or_zero(float value) { return std::isfinite(value) ? value : 0.0f; }

// Blocks are copied out and in: a mapped row need not have the alignment of the block struct.
template <typename Block>
void decode_blocks(const std::byte* src, size_t num_elements, size_t block_elements, float* dst) {
  for (size_t i = 0; i < num_elements; i += block_elements, src += sizeof(Block)) {
    Block block;
    std::memcpy(&block, src, sizeof(Block));
    codec::decode_block(block, dst + i);
  }
}

template <typename Block>
void encode_blocks(const float* src, size_t num_elements, size_t block_elements, std::byte* dst) {
  float finite[kSuperblock];
  for (size_t i = 0; i < num_elements; i += block_elements, dst += sizeof(Block)) {
    for (size_t j = 0; j < block_elements; ++j) finite[j] = finite_or_zero(src[i + j]);
    Block block;
    codec::encode_block(finite, block);
    std::memcpy(dst, &block, sizeof(Block));
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

template <typename Bits, typename Convert>
void encode_scalars(const float* src, size_t num_elements, std::byte* dst, Convert convert) {
  for (size_t i = 0; i < num_elements; ++i) {
    const Bits bits = convert(finite_or_zero(src[i]));
    std::memcpy(dst + i * sizeof(Bits), &bits, sizeof(Bits));
  }
}

BF16Bits saturating_bf16(float value) {
  constexpr float kLargest = 0x1.fep127f;
  return f32_to_bf16(std::clamp(value, -kLargest, kLargest));
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
      return decode_scalars<F16Bits>(bytes, num_elements, dst, f16_to_f32);
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

bool can_encode(DType dtype) { return dtype <= DType::kQ6_K; }

void encode_row(DType dtype, const float* src, size_t num_elements, void* dst) {
  const size_t block = dtype_info(dtype).block_elements;
  RUVLLM_CHECK(num_elements % block == 0);
  std::byte* bytes = static_cast<std::byte*>(dst);
  const auto to_f16 = [](float value) { return codec::saturating_f16(static_cast<double>(value)); };
  switch (dtype) {
    case DType::kF32:
      return encode_scalars<float>(src, num_elements, bytes, [](float value) { return value; });
    case DType::kF16:
      return encode_scalars<F16Bits>(src, num_elements, bytes, to_f16);
    case DType::kBF16:
      return encode_scalars<BF16Bits>(src, num_elements, bytes, saturating_bf16);
    case DType::kQ4_0:
      return encode_blocks<BlockQ4_0>(src, num_elements, block, bytes);
    case DType::kQ5_0:
      return encode_blocks<BlockQ5_0>(src, num_elements, block, bytes);
    case DType::kQ8_0:
      return encode_blocks<BlockQ8_0>(src, num_elements, block, bytes);
    case DType::kQ4_K:
      return encode_blocks<BlockQ4_K>(src, num_elements, block, bytes);
    case DType::kQ5_K:
      return encode_blocks<BlockQ5_K>(src, num_elements, block, bytes);
    case DType::kQ6_K:
      return encode_blocks<BlockQ6_K>(src, num_elements, block, bytes);
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ2_K:
    case DType::kQ3_K:
    case DType::kIQ4_NL:
    case DType::kIQ4_XS:
    case DType::kMXFP4:
    case DType::kIQ2_XXS:
    case DType::kIQ2_XS:
    case DType::kIQ2_S:
    case DType::kIQ3_XXS:
    case DType::kIQ3_S:
    case DType::kIQ1_S:
    case DType::kIQ1_M:
    case DType::kTQ1_0:
    case DType::kTQ2_0:
      break;
  }
  RUVLLM_CHECK(can_encode(dtype));
}

}  // namespace ruvllm
