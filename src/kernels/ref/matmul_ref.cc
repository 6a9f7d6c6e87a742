#include "kernels/ref/matmul_ref.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/core/check.h"
#include "base/numeric/half.h"
#include "kernels/cpu/generic/matmul_unpack.h"
#include "kernels/cpu/generic/matmul_unpack_iq.h"
#include "tensor/blocks.h"

namespace ruvllm::kernels::ref {
namespace {

template <class Block>
UnpackedBlock unpack_at(const std::byte* row, size_t block_idx) {
  Block block;
  std::memcpy(&block, row + block_idx * sizeof(Block), sizeof(Block));
  UnpackedBlock out;
  unpack(block, &out);
  return out;
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

size_t block_elements(DType dtype) { return dtype_info(dtype).block_elements; }

double float_value(DType dtype, const std::byte* row, size_t k) {
  if (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, row + 4 * k, sizeof(value));
    return static_cast<double>(value);
  }
  uint16_t bits;
  std::memcpy(&bits, row + 2 * k, sizeof(bits));
  return static_cast<double>(dtype == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits));
}

// The two parts of a quantized weight, d * scale * q and dmin * min.
struct WeightParts {
  double product = 0.0;
  double min = 0.0;
};

UnpackedBlock unpack_block(DType dtype, const std::byte* row, size_t block_idx) {
  switch (dtype) {
    case DType::kQ4_0:
      return unpack_at<BlockQ4_0>(row, block_idx);
    case DType::kQ5_0:
      return unpack_at<BlockQ5_0>(row, block_idx);
    case DType::kQ8_0:
      return unpack_at<BlockQ8_0>(row, block_idx);
    case DType::kQ4_K:
      return unpack_at<BlockQ4_K>(row, block_idx);
    case DType::kQ5_K:
      return unpack_at<BlockQ5_K>(row, block_idx);
    case DType::kQ6_K:
      return unpack_at<BlockQ6_K>(row, block_idx);
    case DType::kQ4_1:
      return unpack_at<BlockQ4_1>(row, block_idx);
    case DType::kQ5_1:
      return unpack_at<BlockQ5_1>(row, block_idx);
    case DType::kQ2_K:
      return unpack_at<BlockQ2_K>(row, block_idx);
    case DType::kQ3_K:
      return unpack_at<BlockQ3_K>(row, block_idx);
    case DType::kIQ4_NL:
      return unpack_at<BlockIQ4_NL>(row, block_idx);
    case DType::kIQ4_XS:
      return unpack_at<BlockIQ4_XS>(row, block_idx);
    case DType::kMXFP4:
      return unpack_at<BlockMXFP4>(row, block_idx);
    case DType::kIQ2_XXS:
      return unpack_at<BlockIQ2_XXS>(row, block_idx);
    case DType::kIQ2_XS:
      return unpack_at<BlockIQ2_XS>(row, block_idx);
    case DType::kIQ2_S:
      return unpack_at<BlockIQ2_S>(row, block_idx);
    case DType::kIQ3_XXS:
      return unpack_at<BlockIQ3_XXS>(row, block_idx);
    case DType::kIQ3_S:
      return unpack_at<BlockIQ3_S>(row, block_idx);
    case DType::kIQ1_S:
      return unpack_at<BlockIQ1_S>(row, block_idx);
    case DType::kIQ1_M:
      return unpack_at<BlockIQ1_M>(row, block_idx);
    case DType::kTQ1_0:
      return unpack_at<BlockTQ1_0>(row, block_idx);
    case DType::kTQ2_0:
      return unpack_at<BlockTQ2_0>(row, block_idx);
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      break;
  }
  RUVLLM_CHECK(false);
}

// Elements that share a scale within a block.
size_t scale_group(DType dtype) {
  switch (dtype) {
    case DType::kQ2_K:
    case DType::kQ3_K:
    case DType::kQ6_K:
    case DType::kIQ2_XS:
    case DType::kIQ2_S:
    case DType::kIQ1_M:
      return 16;
    default:
      return 32;
  }
}

bool has_min(DType dtype) {
  return dtype == DType::kQ4_1 || dtype == DType::kQ5_1 || dtype == DType::kQ2_K ||
         dtype == DType::kQ4_K || dtype == DType::kQ5_K;
}

WeightParts parts(DType dtype, const UnpackedBlock& block, size_t i) {
  const size_t group = i / scale_group(dtype);
  const int scale = block_elements(dtype) == kSuperblock ? block.scale[group] : 1;
  const double dmin = static_cast<double>(block.dmin);
  return {static_cast<double>(block.d) * scale * block.q[i],
          has_min(dtype) ? dmin * block.min[group] : 0.0};
}

// The rounded weights of a grouped product, and their step.
struct RoundedGroup {
  double step = 0.0;
  double q[kWeightGroup];
};

RoundedGroup round_group(DType dtype, const std::byte* row, size_t first) {
  double weights[kWeightGroup], max = 0.0;
  bool is_finite = true;
  for (size_t i = 0; i < kWeightGroup; ++i) {
    weights[i] = float_value(dtype, row, first + i);
    is_finite = is_finite && std::isfinite(weights[i]);
    max = std::fmax(max, std::fabs(weights[i]));
  }
  const int min_exponent = dtype == DType::kF16 ? -14 : -114;
  RoundedGroup group;
  group.step =
      std::ldexp(1.0, std::max(max > 0 ? std::ilogb(max) : min_exponent, min_exponent) - 12);
  for (size_t i = 0; i < kWeightGroup; ++i) group.q[i] = std::nearbyint(weights[i] / group.step);
  if (!is_finite || (dtype == DType::kBF16 && max >= 0x1p117)) group.step = std::nan("");
  return group;
}

ReferenceDot grouped_dot(DType dtype, const MatmulArgs& args, const std::byte* row,
                         size_t x_begin) {
  ReferenceDot out;
  for (size_t k = 0; k < static_cast<size_t>(args.num_cols); k += kWeightGroup) {
    const RoundedGroup group = round_group(dtype, row, k);
    double sum = 0.0;
    for (size_t i = 0; i < kWeightGroup; ++i) sum += group.q[i] * args.x.q16[x_begin + k + i];
    const double term =
        group.step * static_cast<double>(args.x.scales[(x_begin + k) / kWeightGroup]) * sum;
    out.value += term;
    out.magnitude += std::fabs(term);
  }
  return out;
}

}  // namespace

ActivationKind activation_kind(DType dtype) {
  if (is_float(dtype)) return ActivationKind::kF32;
  if (dtype == DType::kQ8_0 || dtype == DType::kIQ4_NL) return ActivationKind::kQ16Group32;
  return dtype_info(dtype).block_elements == kBlock32 ? ActivationKind::kQ8Group32
                                                      : ActivationKind::kQ8Group256;
}

double weight_value(DType dtype, const std::byte* row, size_t k) {
  if (is_float(dtype)) return float_value(dtype, row, k);
  const size_t elements = block_elements(dtype);
  const WeightParts part = parts(dtype, unpack_block(dtype, row, k / elements), k % elements);
  return part.product - part.min;
}

ReferenceDot dot(DType dtype, const MatmulArgs& args, int32_t weight_row, int32_t x_row) {
  const std::byte* row = args.weights + static_cast<size_t>(weight_row) * args.weight_row_stride;
  const size_t num_cols = static_cast<size_t>(args.num_cols);
  const size_t x_begin = static_cast<size_t>(x_row) * num_cols;
  if (is_float(dtype) && args.x.q16 != nullptr) return grouped_dot(dtype, args, row, x_begin);
  ReferenceDot out;
  if (is_float(dtype)) {
    for (size_t k = 0; k < num_cols; ++k) {
      const double term = float_value(dtype, row, k) * static_cast<double>(args.x.f32[x_begin + k]);
      out.value += term;
      out.magnitude += std::fabs(term);
    }
    return out;
  }
  const size_t elements = block_elements(dtype);
  for (size_t b = 0; b < num_cols / elements; ++b) {
    const UnpackedBlock block = unpack_block(dtype, row, b);
    const double dx = static_cast<double>(args.x.scales[x_begin / elements + b]);
    double product = 0.0, min = 0.0;
    for (size_t i = 0; i < elements; ++i) {
      const WeightParts part = parts(dtype, block, i);
      const size_t k = x_begin + b * elements + i;
      const double x = args.x.q16 != nullptr ? args.x.q16[k] : args.x.q8[k];
      product += part.product * x;
      min += part.min * x;
    }
    // Without dx the sums are exact: a block whose terms cancel gives zero.
    out.value += dx * product - dx * min;
    out.magnitude += std::fabs(dx * product) + std::fabs(dx * min);
  }
  return out;
}

}  // namespace ruvllm::kernels::ref
