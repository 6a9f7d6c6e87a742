// Superblocks of 256: q4_K, q5_K and q6_K.
//
// Each sub-block tries a handful of grids around the one that just spans its values. For the levels
// that a grid gives, the best scale (and minimum) is a weighted least-squares problem with a closed
// form; the grid of smallest weighted squared error wins. Scales are then rounded to their few bits
// and the levels chosen again for the scales as stored.
//
// Sums are double: no overflow or cancellation for any finite input, and the error of a fit can be
// taken from its moments instead of a second pass over the values.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/codec_blocks.h"
#include "tensor/k_scales.h"

namespace ruvllm::codec {
namespace {

constexpr int kSubBlock = 32;
constexpr int kGroup = 16;

int nearest_level(double value, int lowest, int highest) {
  const double clamped =
      std::clamp(value, static_cast<double>(lowest), static_cast<double>(highest));
  // Truncation rounds down once the sum is not negative.
  return static_cast<int>(clamped - lowest + 0.5) + lowest;
}

struct AffineFit {  // value = scale * level - min, with scale >= 0 and min >= 0
  double scale;
  double min;
};

// Which grids to try: the range of the values is spread over max_level + first + i * 0.1 steps.
struct GridSearch {
  int max_level;
  double first;
  int num_grids;
};

// Weighted moments of values x against levels l.
struct Moments {
  double w = 0, x = 0, xx = 0, l = 0, ll = 0, xl = 0;
};

// Large values count more, but none is neglected: weight = root mean square + |x|.
void sub_block_weights(const float* src, double* weights) {
  double sum_of_squares = 0;
  for (int i = 0; i < kSubBlock; ++i) {
    sum_of_squares += static_cast<double>(src[i]) * static_cast<double>(src[i]);
  }
  const double rms = std::sqrt(sum_of_squares / kSubBlock);
  for (int i = 0; i < kSubBlock; ++i) weights[i] = rms + std::abs(static_cast<double>(src[i]));
}

// The least-squares solution of x = scale * l - min under min >= 0.
AffineFit solve(const Moments& sum) {
  const double determinant = sum.w * sum.ll - sum.l * sum.l;
  if (determinant > 0) {
    const double scale = (sum.w * sum.xl - sum.x * sum.l) / determinant;
    const double offset = (sum.ll * sum.x - sum.l * sum.xl) / determinant;
    if (offset <= 0) return {scale, -offset};
  }
  return {sum.xl / sum.ll, 0.0};
}

AffineFit fit_affine(const float* src, const GridSearch& search) {
  const auto [smallest, largest] = std::minmax_element(src, src + kSubBlock);
  const double high = static_cast<double>(*largest);
  double low = std::min(0.0, static_cast<double>(*smallest));
  if (high <= low) return {0.0, -low};

  double weights[kSubBlock];
  sub_block_weights(src, weights);
  Moments values;
  for (int i = 0; i < kSubBlock; ++i) {
    const double x = static_cast<double>(src[i]);
    values.w += weights[i];
    values.x += weights[i] * x;
    values.xx += weights[i] * x * x;
  }
  AffineFit best{};
  double best_error = HUGE_VAL;
  for (int grid = 0; grid < search.num_grids && low < high; ++grid) {
    const double levels_per_unit = (search.max_level + search.first + 0.1 * grid) / (high - low);
    Moments sum = values;
    for (int i = 0; i < kSubBlock; ++i) {
      const double x = static_cast<double>(src[i]);
      const double level = nearest_level(levels_per_unit * (x - low), 0, search.max_level);
      sum.l += weights[i] * level;
      sum.ll += weights[i] * level * level;
      sum.xl += weights[i] * level * x;
    }
    const AffineFit fit = solve(sum);
    const double error = sum.xx - fit.scale * sum.xl + fit.min * sum.x;
    if (error < best_error) {
      best = fit;
      best_error = error;
      low = -fit.min;  // grids that start at the fitted minimum find better levels (Lloyd's step)
    }
  }
  return best;
}

uint8_t six_bits(double value, double largest) {
  return static_cast<uint8_t>(largest > 0 ? nearest_level(63.0 * value / largest, 0, 63) : 0);
}

// Fills d, dmin, scales of a q4_K or q5_K block and the level of each of its 256 elements.
template <typename Block>
void fit_superblock(const float* src, const GridSearch& search, Block& block, uint8_t* levels) {
  AffineFit fits[kNumScales];
  double largest_scale = 0;
  double largest_min = 0;
  for (int s = 0; s < kNumScales; ++s) {
    fits[s] = fit_affine(src + kSubBlock * s, search);
    largest_scale = std::max(largest_scale, fits[s].scale);
    largest_min = std::max(largest_min, fits[s].min);
  }
  ScaleMin packed[kNumScales];
  for (int s = 0; s < kNumScales; ++s) {
    packed[s] = {six_bits(fits[s].scale, largest_scale), six_bits(fits[s].min, largest_min)};
  }
  pack_scale_mins(packed, block.scales);
  block.d = saturating_f16(largest_scale / 63.0);
  block.dmin = saturating_f16(largest_min / 63.0);

  const double d = static_cast<double>(f16_to_f32(block.d));
  const double dmin = static_cast<double>(f16_to_f32(block.dmin));
  for (int i = 0; i < kSuperblock; ++i) {
    const ScaleMin stored = packed[i / kSubBlock];
    const double scale = d * stored.scale;
    const double above = static_cast<double>(src[i]) + dmin * stored.min;
    levels[i] =
        static_cast<uint8_t>(scale > 0 ? nearest_level(above / scale, 0, search.max_level) : 0);
  }
}

// Scale of `x = scale * level`, level in [-32, 31], weighted by x * x; 0 when all are zero. Among
// the grids the one with the largest projection of the values on their levels has the least error.
double fit_symmetric(const float* src) {
  constexpr int kHalf = 32;
  const double extreme = static_cast<double>(signed_extreme(src, kGroup));
  if (extreme == 0) return 0;
  double best_scale = 0;
  double best_gain = -1;
  for (int grid = -9; grid <= 9; ++grid) {
    const double levels_per_unit = -(kHalf + 0.1 * grid) / extreme;
    double xl = 0;
    double ll = 0;
    for (int i = 0; i < kGroup; ++i) {
      const double x = static_cast<double>(src[i]);
      const double level = nearest_level(levels_per_unit * x, -kHalf, kHalf - 1);
      xl += x * x * x * level;
      ll += x * x * level * level;
    }
    if (xl * xl > best_gain * ll) {
      best_gain = xl * xl / ll;
      best_scale = xl / ll;
    }
  }
  return best_scale;
}

}  // namespace

void encode_block(const float* src, BlockQ4_K& block) {
  uint8_t levels[kSuperblock];
  fit_superblock(src, {.max_level = 15, .first = -1.0, .num_grids = 21}, block, levels);
  for (int i = 0; i < kSuperblock / 2; ++i) {
    const uint8_t* pair = levels + 64 * (i / kSubBlock) + i % kSubBlock;
    block.qs[i] = static_cast<uint8_t>(pair[0] | (pair[kSubBlock] << 4));
  }
}

void encode_block(const float* src, BlockQ5_K& block) {
  uint8_t levels[kSuperblock];
  fit_superblock(src, {.max_level = 31, .first = -0.5, .num_grids = 16}, block, levels);
  std::memset(block.qh, 0, sizeof(block.qh));
  for (int i = 0; i < kSuperblock; ++i) {
    const int l = i % kSubBlock;
    block.qh[l] = static_cast<uint8_t>(block.qh[l] | ((levels[i] >> 4) << (i / kSubBlock)));
  }
  for (int i = 0; i < kSuperblock / 2; ++i) {
    const uint8_t* pair = levels + 64 * (i / kSubBlock) + i % kSubBlock;
    block.qs[i] = static_cast<uint8_t>((pair[0] & 15) | ((pair[kSubBlock] & 15) << 4));
  }
}

void encode_block(const float* src, BlockQ6_K& block) {
  constexpr int kNumGroups = kSuperblock / kGroup;
  double scales[kNumGroups];
  for (int g = 0; g < kNumGroups; ++g) scales[g] = fit_symmetric(src + kGroup * g);
  const double extreme = signed_extreme(scales, kNumGroups);
  block.d = saturating_f16(extreme / -128.0);
  const double d = static_cast<double>(f16_to_f32(block.d));
  for (int g = 0; g < kNumGroups; ++g) {
    const double relative = extreme != 0 ? -128.0 * scales[g] / extreme : 0.0;
    block.scales[g] = static_cast<int8_t>(nearest_level(relative, -128, 127));
  }
  std::memset(block.ql, 0, sizeof(block.ql));
  std::memset(block.qh, 0, sizeof(block.qh));
  for (int i = 0; i < kSuperblock; ++i) {
    const double scale = d * block.scales[i / kGroup];
    const int level = scale != 0 ? nearest_level(static_cast<double>(src[i]) / scale, -32, 31) : 0;
    const int bits = level + 32;
    const int half = i / 128;
    const int part = (i % 128) / 32;
    uint8_t& low = block.ql[64 * half + 32 * (part % 2) + i % 32];
    uint8_t& high = block.qh[32 * half + i % 32];
    low = static_cast<uint8_t>(low | ((bits & 15) << (4 * (part / 2))));
    high = static_cast<uint8_t>(high | ((bits >> 4) << (2 * part)));
  }
}

}  // namespace ruvllm::codec
