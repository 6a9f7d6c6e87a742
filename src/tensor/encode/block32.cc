// Blocks of 32 elements.
//
// Without importance the evenly spaced types and MXFP4 are rounded as ggml's reference does, in the
// same float operations: files come out equal bit for bit. With it the scale is searched.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/codec_blocks.h"
#include "tensor/encode/affine.h"
#include "tensor/encode/scaled.h"
#include "tensor/encode/table_levels.h"
#include "tensor/encode/weights.h"
#include "tensor/iq/grids.h"

namespace ruvllm::codec {
namespace {

using Block = WeightedBlock<kBlock32>;

float reciprocal_or_zero(float value) {
  const float reciprocal = 1.0f / value;
  // A subnormal scale has no finite reciprocal; it is below binary16 anyway.
  return std::isfinite(reciprocal) ? reciprocal : 0.0f;
}

// Truncated, from 0 to top.
uint8_t truncated(float value, int top) {
  if (!(value > 0)) return 0;  // NaN too: an infinite range times a reciprocal of zero
  return static_cast<uint8_t>(value < static_cast<float>(top) ? static_cast<int>(value) : top);
}

void pack_low_nibbles(const uint8_t* levels, uint8_t* qs) {
  for (int j = 0; j < kBlock32 / 2; ++j) {
    qs[j] = static_cast<uint8_t>((levels[j] & 15) | ((levels[j + kBlock32 / 2] & 15) << 4));
  }
}

void pack_fifth_bits(const uint8_t* levels, uint8_t* qh) {
  std::memset(qh, 0, 4);
  for (int j = 0; j < kBlock32; ++j) {
    qh[j / 8] = static_cast<uint8_t>(qh[j / 8] | ((levels[j] >> 4) << (j % 8)));
  }
}

// value = d * (level - half): ggml gives the extreme the lowest level, exactly.
F16Bits round_symmetric(const float* src, int half, uint8_t* levels) {
  const float scale = signed_extreme(src, kBlock32) / static_cast<float>(-half);
  const float inverse = reciprocal_or_zero(scale);
  const float middle = static_cast<float>(half) + 0.5f;
  for (int j = 0; j < kBlock32; ++j) levels[j] = truncated(src[j] * inverse + middle, 2 * half - 1);
  return saturating_f16(scale);
}

// value = d * level + m over the range of the values.
void round_affine(const float* src, int top, F16Bits& d, F16Bits& m, uint8_t* levels) {
  const auto [smallest, largest] = std::minmax_element(src, src + kBlock32);
  const float min = *smallest;
  const float scale = (*largest - min) / static_cast<float>(top);
  const float inverse = reciprocal_or_zero(scale);
  for (int j = 0; j < kBlock32; ++j) levels[j] = truncated((src[j] - min) * inverse + 0.5f, top);
  d = saturating_f16(scale);
  m = saturating_f16(min);
}

// Scale and nearest levels of least weighted error.
template <typename Levels>
F16Bits search_scale(const Block& block, const Levels& levels, float* out) {
  constexpr int kGrids = 17;
  const F16Bits d = block.bits_of(fit_scale<kBlock32>(block.x, block.w, levels, kGrids));
  const float scale = block.value_of(d);
  for (int j = 0; j < kBlock32; j += kLanes) {
    const Floats scaled = scale != 0 ? load(block.x + j) * splat(1.0f / scale) : Floats{};
    store(levels.nearest_level(scaled), out + j);
  }
  return d;
}

F16Bits fit_symmetric(const float* src, const float* importance, int half, uint8_t* levels) {
  Block block;
  if (importance == nullptr || !block.load(src, importance, PlainWeights::kSquares)) {
    return round_symmetric(src, half, levels);
  }
  float values[kBlock32];
  const UniformLevels uniform{static_cast<float>(-half), static_cast<float>(half - 1)};
  const F16Bits d = search_scale(block, uniform, values);
  for (int j = 0; j < kBlock32; ++j) {
    levels[j] = static_cast<uint8_t>(static_cast<int>(values[j]) + half);
  }
  return d;
}

void fit_with_offset(const float* src, const float* importance, int top, F16Bits& d, F16Bits& m,
                     uint8_t* levels) {
  Block block;
  if (importance == nullptr || !block.load(src, importance, PlainWeights::kSquares)) {
    return round_affine(src, top, d, m, levels);
  }
  const float highest = static_cast<float>(top);
  const AffineFit fit = fit_affine<kBlock32>(block.x, block.w, {highest, -1.0f, 0.1f, 21, false});
  d = block.bits_of(fit.scale);
  m = block.bits_of(fit.offset);
  const float inverse = reciprocal_or_zero(block.value_of(d)), offset = block.value_of(m);
  for (int j = 0; j < kBlock32; ++j) {
    levels[j] = truncated((block.x[j] - offset) * inverse + 0.5f, top);
  }
}

// Levels of MXFP4: magnitude (3 bits) and sign. Ties go to the smaller magnitude, as in ggml.
uint8_t mxfp4_level(float scaled) {
  int level = 0;
  for (int i = 0; i < 7; ++i) {
    const float midpoint = 0.5f * static_cast<float>(kMxfp4Values[i] + kMxfp4Values[i + 1]);
    level += std::abs(scaled) > midpoint ? 1 : 0;
  }
  return static_cast<uint8_t>(level > 0 && scaled < 0 ? level + 8 : level);
}

}  // namespace

void encode_block(const float* src, const float* importance, BlockQ4_0& block) {
  uint8_t levels[kBlock32];
  block.d = fit_symmetric(src, importance, 8, levels);
  pack_low_nibbles(levels, block.qs);
}

void encode_block(const float* src, const float* importance, BlockQ5_0& block) {
  uint8_t levels[kBlock32];
  block.d = fit_symmetric(src, importance, 16, levels);
  pack_low_nibbles(levels, block.qs);
  pack_fifth_bits(levels, block.qh);
}

void encode_block(const float* src, const float* importance, BlockQ4_1& block) {
  uint8_t levels[kBlock32];
  fit_with_offset(src, importance, 15, block.d, block.m, levels);
  pack_low_nibbles(levels, block.qs);
}

void encode_block(const float* src, const float* importance, BlockQ5_1& block) {
  uint8_t levels[kBlock32];
  fit_with_offset(src, importance, 31, block.d, block.m, levels);
  pack_low_nibbles(levels, block.qs);
  pack_fifth_bits(levels, block.qh);
}

// The range of 8 bits leaves nothing to weigh.
void encode_block(const float* src, const float*, BlockQ8_0& block) {
  const float scale = std::abs(signed_extreme(src, kBlock32)) / 127.0f;
  const float inverse = reciprocal_or_zero(scale);
  block.d = saturating_f16(scale);
  for (int j = 0; j < kBlock32; j += kLanes) {
    const Integers levels = rounded(load(src + j) * splat(inverse));
    for (int k = 0; k < kLanes; ++k) block.qs[j + k] = static_cast<int8_t>(levels[k]);
  }
}

void encode_block(const float* src, const float* importance, BlockIQ4_NL& block) {
  static const TableLevels<16> kLevels(kIq4Values);
  block = {};
  Block weighted;
  if (!weighted.load(src, importance, PlainWeights::kSquares)) return;
  float values[kBlock32];
  block.d = search_scale(weighted, kLevels, values);
  uint8_t levels[kBlock32];
  for (int j = 0; j < kBlock32; ++j) levels[j] = static_cast<uint8_t>(kLevels.index_of(values[j]));
  pack_low_nibbles(levels, block.qs);
}

void encode_block(const float* src, const float* importance, BlockMXFP4& block) {
  block = {};
  Block weighted;
  if (!weighted.load(src, importance, PlainWeights::kSquares)) return;
  // The largest magnitude lies between levels 8 and 16 of twice E2M1, or a step further.
  const int usual = std::clamp(weighted.exponent - 2 + 127, 0, 254);
  double best_error = HUGE_VAL;
  const int last = importance != nullptr ? std::min(usual + 1, 254) : usual;
  for (int e = usual; e <= last; ++e) {
    const float unit = std::ldexp(0.5f, e - 127 - weighted.exponent);
    double error = 0;
    uint8_t levels[kBlock32];
    for (int j = 0; j < kBlock32; ++j) {
      levels[j] = mxfp4_level(weighted.x[j] / unit);
      const float rest = weighted.x[j] - unit * static_cast<float>(kMxfp4Values[levels[j]]);
      error += static_cast<double>(weighted.w[j] * rest * rest);
    }
    if (error < best_error) {
      best_error = error;
      block.e = static_cast<uint8_t>(e);
      pack_low_nibbles(levels, block.qs);
    }
  }
}

}  // namespace ruvllm::codec
