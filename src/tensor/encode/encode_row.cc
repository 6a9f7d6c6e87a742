// Rows of blocks and of plain floats.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/core/check.h"
#include "tensor/codec.h"
#include "tensor/codec_blocks.h"

namespace ruvllm {
namespace {

float finite_or_zero(float value) { return std::isfinite(value) ? value : 0.0f; }

template <typename Block>
void encode_blocks(const float* src, size_t num_elements, size_t block_elements,
                   const float* importance, std::byte* dst) {
  float finite[kSuperblock];
  for (size_t i = 0; i < num_elements; i += block_elements, dst += sizeof(Block)) {
    for (size_t j = 0; j < block_elements; ++j) finite[j] = finite_or_zero(src[i + j]);
    Block block;
    codec::encode_block(finite, importance != nullptr ? importance + i : nullptr, block);
    std::memcpy(dst, &block, sizeof(Block));
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

F16Bits to_f16(float value) { return codec::saturating_f16(static_cast<double>(value)); }

}  // namespace

bool can_encode(DType dtype) { return dtype <= DType::kMXFP4; }

void encode_row(DType dtype, const float* src, size_t num_elements, void* dst,
                std::span<const float> importance) {
  const size_t block = dtype_info(dtype).block_elements;
  RUVLLM_CHECK(num_elements % block == 0 && can_encode(dtype));
  RUVLLM_CHECK(importance.empty() || importance.size() == num_elements);
  std::byte* bytes = static_cast<std::byte*>(dst);
  const float* weights = importance.empty() ? nullptr : importance.data();
  const auto encode = [&]<typename Block>() {
    encode_blocks<Block>(src, num_elements, block, weights, bytes);
  };
  switch (dtype) {
    case DType::kF32:
      return encode_scalars<float>(src, num_elements, bytes, [](float value) { return value; });
    case DType::kF16:
      return encode_scalars<F16Bits>(src, num_elements, bytes, to_f16);
    case DType::kBF16:
      return encode_scalars<BF16Bits>(src, num_elements, bytes, saturating_bf16);
    case DType::kQ4_0:
      return encode.operator()<BlockQ4_0>();
    case DType::kQ4_1:
      return encode.operator()<BlockQ4_1>();
    case DType::kQ5_0:
      return encode.operator()<BlockQ5_0>();
    case DType::kQ5_1:
      return encode.operator()<BlockQ5_1>();
    case DType::kQ8_0:
      return encode.operator()<BlockQ8_0>();
    case DType::kQ2_K:
      return encode.operator()<BlockQ2_K>();
    case DType::kQ3_K:
      return encode.operator()<BlockQ3_K>();
    case DType::kQ4_K:
      return encode.operator()<BlockQ4_K>();
    case DType::kQ5_K:
      return encode.operator()<BlockQ5_K>();
    case DType::kQ6_K:
      return encode.operator()<BlockQ6_K>();
    case DType::kIQ4_NL:
      return encode.operator()<BlockIQ4_NL>();
    case DType::kIQ4_XS:
      return encode.operator()<BlockIQ4_XS>();
    case DType::kMXFP4:
      return encode.operator()<BlockMXFP4>();
    default:
      return;  // checked above
  }
}

}  // namespace ruvllm
