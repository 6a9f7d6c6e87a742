// q6_K, q3_K and iq4_XS: superblocks of 256 whose groups have a signed integer scale, times a
// factor of the superblock.
//
// Each group is fitted alone. Then the scales become integers, chosen among neighbours with levels
// assigned anew, and the factor is the least-squares solution for the integers and levels found;
// both steps repeat while the weighted error falls.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/codec_blocks.h"
#include "tensor/encode/refine.h"
#include "tensor/encode/scaled.h"
#include "tensor/encode/table_levels.h"
#include "tensor/encode/two_bits.h"
#include "tensor/encode/weights.h"
#include "tensor/iq/grids.h"

namespace ruvllm::codec {
namespace {

constexpr int kMaxRefits = 3;

// What a superblock stores: value = d * scale * level.
template <int kNumGroups>
struct StoredScaled {
  F16Bits d = 0;
  int8_t scales[static_cast<size_t>(kNumGroups)] = {};
};

// Scales are integers from -max_scale to max_scale - 1.
template <int kNumGroups, typename Levels>
class ScaledSuperblock {
 public:
  static constexpr int kSize = kSuperblock / kNumGroups;
  using Stored = StoredScaled<kNumGroups>;

  ScaledSuperblock(const Levels& levels, int max_scale, int num_grids)
      : levels_(levels), max_scale_(max_scale), num_grids_(num_grids) {}

  // Fills the level of each of the 256 values.
  Stored encode(const float* src, const float* importance, float* levels) {
    if (!block_.load(src, importance, PlainWeights::kSquares)) {
      std::fill_n(levels, kSuperblock, 0.0f);
      return {};
    }
    const Stored best = refine(
        first_guess(), kMaxRefits, [this](Stored& stored) { return improve(stored); },
        [this](Stored& stored) { return refit_factor(stored); });
    assign_levels(best, levels);
    return best;
  }

 private:
  const float* x(int group) const { return block_.x + kSize * group; }
  const float* w(int group) const { return block_.w + kSize * group; }

  Stored first_guess() const {
    float scales[static_cast<size_t>(kNumGroups)];
    for (int g = 0; g < kNumGroups; ++g) {
      scales[g] = fit_scale<kSize>(x(g), w(g), levels_, num_grids_);
    }
    const float lowest = static_cast<float>(-max_scale_);
    Stored stored;
    stored.d = block_.bits_of(signed_extreme(scales, kNumGroups) / lowest);
    const float d = block_.value_of(stored.d);
    for (int g = 0; g < kNumGroups; ++g) {
      const float quotient = d != 0 ? scales[g] / d : 0.0f;
      stored.scales[g] = static_cast<int8_t>(
          std::lround(std::clamp(quotient, lowest, static_cast<float>(max_scale_ - 1))));
    }
    return stored;
  }

  // Moves each scale to its best neighbour. Returns the weighted squared error.
  float improve(Stored& stored) const {
    const float d = block_.value_of(stored.d);
    float total = 0;
    for (int g = 0; g < kNumGroups; ++g) {
      const int scale = stored.scales[g];
      float best = HUGE_VALF;
      for (int i = std::max(scale - 1, -max_scale_); i <= std::min(scale + 1, max_scale_ - 1);
           ++i) {
        const float error = scale_error<kSize>(x(g), w(g), levels_, d * static_cast<float>(i));
        if (error < best) {
          best = error;
          stored.scales[g] = static_cast<int8_t>(i);
        }
      }
      total += best;
    }
    return total;
  }

  // d of least squares for the integers and levels as they are. False: it stays.
  bool refit_factor(Stored& stored) const {
    const float d = block_.value_of(stored.d);
    double xa = 0, aa = 0;  // a = scale * level
    for (int g = 0; g < kNumGroups; ++g) {
      const float scale = stored.scales[g];
      if (d * scale == 0) continue;
      const ScaleMoments m = scale_moments<kSize>(x(g), w(g), levels_, 1.0f / (d * scale));
      xa += static_cast<double>(scale * m.xl);
      aa += static_cast<double>(scale * scale * m.ll);
    }
    if (!(aa > 0)) return false;
    const F16Bits old = stored.d;
    stored.d = block_.bits_of(static_cast<float>(xa / aa));
    return stored.d != old;
  }

  void assign_levels(const Stored& stored, float* levels) const {
    const float d = block_.value_of(stored.d);
    for (int i = 0; i < kSuperblock; i += kLanes) {
      const float scale = d * static_cast<float>(stored.scales[i / kSize]);
      const Floats scaled = scale != 0 ? load(block_.x + i) * splat(1.0f / scale) : Floats{};
      store(levels_.nearest_level(scaled), levels + i);
    }
  }

  Levels levels_;
  int max_scale_;
  int num_grids_;
  WeightedBlock<kSuperblock> block_;
};

}  // namespace

void encode_block(const float* src, const float* importance, BlockQ6_K& block) {
  constexpr int kGroups = 16;
  float levels[kSuperblock];
  ScaledSuperblock<kGroups, UniformLevels> superblock({-32.0f, 31.0f}, 128, 9);
  const StoredScaled<kGroups> stored = superblock.encode(src, importance, levels);
  block.d = stored.d;
  std::memcpy(block.scales, stored.scales, sizeof(block.scales));
  std::memset(block.ql, 0, sizeof(block.ql));
  std::memset(block.qh, 0, sizeof(block.qh));
  for (int i = 0; i < kSuperblock; ++i) {
    const int bits = static_cast<int>(levels[i]) + 32;
    const int half = i / 128;
    const int part = (i % 128) / 32;
    uint8_t& low = block.ql[64 * half + 32 * (part % 2) + i % 32];
    uint8_t& high = block.qh[32 * half + i % 32];
    low = static_cast<uint8_t>(low | ((bits & 15) << (4 * (part / 2))));
    high = static_cast<uint8_t>(high | ((bits >> 4) << (2 * part)));
  }
}

void encode_block(const float* src, const float* importance, BlockQ3_K& block) {
  constexpr int kGroups = 16;
  float values[kSuperblock];
  ScaledSuperblock<kGroups, UniformLevels> superblock({-4.0f, 3.0f}, 32, 17);
  const StoredScaled<kGroups> stored = superblock.encode(src, importance, values);
  block = {};
  block.d = stored.d;
  for (int g = 0; g < kGroups; ++g) {
    const int bits = stored.scales[g] + 32;
    uint8_t& low = block.scales[g % 8];
    uint8_t& high = block.scales[8 + g % 4];
    low = static_cast<uint8_t>(low | ((bits & 15) << (4 * (g / 8))));
    high = static_cast<uint8_t>(high | ((bits >> 4) << (2 * (g / 4))));
  }
  uint8_t levels[kSuperblock];
  for (int i = 0; i < kSuperblock; ++i) {
    levels[i] = static_cast<uint8_t>(static_cast<int>(values[i]) + 4);
    block.hmask[i % 32] =
        static_cast<uint8_t>(block.hmask[i % 32] | ((levels[i] >> 2) << (i / 32)));
  }
  pack_two_bits(levels, block.qs);
}

void encode_block(const float* src, const float* importance, BlockIQ4_XS& block) {
  static const TableLevels<16> kLevels(kIq4Values);
  constexpr int kGroups = 8;
  float values[kSuperblock];
  ScaledSuperblock<kGroups, TableLevels<16>> superblock(kLevels, 32, 9);
  const StoredScaled<kGroups> stored = superblock.encode(src, importance, values);
  block = {};
  block.d = stored.d;
  for (int g = 0; g < kGroups; ++g) {
    const int bits = stored.scales[g] + 32;
    block.scales_h = static_cast<uint16_t>(block.scales_h | ((bits >> 4) << (2 * g)));
    uint8_t& low = block.scales_l[g / 2];
    low = static_cast<uint8_t>(low | ((bits & 15) << (4 * (g % 2))));
  }
  for (int i = 0; i < kSuperblock / 2; ++i) {
    const float* pair = values + 32 * (i / 16) + i % 16;
    block.qs[i] =
        static_cast<uint8_t>(kLevels.index_of(pair[0]) | (kLevels.index_of(pair[16]) << 4));
  }
}

}  // namespace ruvllm::codec
