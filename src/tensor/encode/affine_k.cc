// q4_K, q5_K and q2_K: superblocks of 256 whose sub-blocks have a scale and a minimum, both small
// integers times a factor of the superblock.
//
// Each sub-block is fitted alone. Then scales and minimums become integers, chosen among neighbours
// with levels assigned anew, and the two factors are the least-squares solution for the integers
// and levels found; both steps repeat while the weighted error falls.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/codec_blocks.h"
#include "tensor/encode/affine.h"
#include "tensor/encode/refine.h"
#include "tensor/encode/two_bits.h"
#include "tensor/encode/weights.h"
#include "tensor/k_scales.h"

namespace ruvllm::codec {
namespace {

constexpr int kMaxRefits = 6;
constexpr int kReach = 2;  // of the search for a better integer

// What a superblock stores. value = d * scale * level - dmin * min.
template <int kNumSub>
struct StoredAffine {
  F16Bits d = 0, dmin = 0;
  uint8_t scales[static_cast<size_t>(kNumSub)] = {};
  uint8_t mins[static_cast<size_t>(kNumSub)] = {};
};

template <int kNumSub>
class AffineSuperblock {
 public:
  static constexpr int kSize = kSuperblock / kNumSub;
  using Stored = StoredAffine<kNumSub>;

  AffineSuperblock(const AffineSearch& search, int max_integer)
      : search_(search), max_integer_(max_integer) {}

  // Fills the level of each of the 256 values.
  Stored encode(const float* src, const float* importance, uint8_t* levels) {
    if (!block_.load(src, importance, PlainWeights::kLinear)) {
      std::memset(levels, 0, kSuperblock);
      return {};
    }
    const Stored best = refine(
        first_guess(), kMaxRefits, [this](Stored& stored) { return improve(stored); },
        [this](Stored& stored) { return refit_factors(stored); });
    assign_levels(best, levels);
    return best;
  }

 private:
  const float* x(int sub) const { return block_.x + kSize * sub; }
  const float* w(int sub) const { return block_.w + kSize * sub; }

  uint8_t integer(float value, float unit) const {
    const float quotient = unit > 0 ? value / unit : 0.0f;
    return static_cast<uint8_t>(std::clamp(quotient, 0.0f, static_cast<float>(max_integer_)) +
                                0.5f);
  }

  Stored first_guess() const {
    AffineFit fits[static_cast<size_t>(kNumSub)];
    float largest_scale = 0, largest_min = 0;
    for (int s = 0; s < kNumSub; ++s) {
      fits[s] = fit_affine<kSize>(x(s), w(s), search_);
      largest_scale = std::max(largest_scale, fits[s].scale);
      largest_min = std::max(largest_min, -fits[s].offset);
    }
    Stored stored;
    stored.d = block_.bits_of(largest_scale / static_cast<float>(max_integer_));
    stored.dmin = block_.bits_of(largest_min / static_cast<float>(max_integer_));
    for (int s = 0; s < kNumSub; ++s) {
      stored.scales[s] = integer(fits[s].scale, block_.value_of(stored.d));
      stored.mins[s] = integer(-fits[s].offset, block_.value_of(stored.dmin));
    }
    return stored;
  }

  // Moves each pair of integers to its best neighbour. Returns the weighted squared error.
  float improve(Stored& stored) const {
    const float d = block_.value_of(stored.d), dmin = block_.value_of(stored.dmin);
    float total = 0;
    for (int s = 0; s < kNumSub; ++s) {
      const int scale = stored.scales[s], min = stored.mins[s];
      float best = HUGE_VALF;
      for (int i = std::max(scale - kReach, 0); i <= std::min(scale + kReach, max_integer_); ++i) {
        for (int j = std::max(min - kReach, 0); j <= std::min(min + kReach, max_integer_); ++j) {
          const AffineFit fit{d * static_cast<float>(i), -dmin * static_cast<float>(j)};
          const float error = affine_error<kSize>(x(s), w(s), fit, search_.max_level);
          if (error < best) {
            best = error;
            stored.scales[s] = static_cast<uint8_t>(i);
            stored.mins[s] = static_cast<uint8_t>(j);
          }
        }
      }
      total += best;
    }
    return total;
  }

  // d and dmin of least squares for the integers and levels as they are. False: they stay.
  bool refit_factors(Stored& stored) const {
    const float d = block_.value_of(stored.d), dmin = block_.value_of(stored.dmin);
    double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;  // a = scale * level, b = -min
    for (int s = 0; s < kNumSub; ++s) {
      const float scale = stored.scales[s], min = stored.mins[s];
      Moments m = value_moments<kSize>(x(s), w(s));
      if (d * scale > 0) {
        add_level_moments<kSize>(x(s), w(s), 1.0f / (d * scale), -dmin * min, search_.max_level, m);
      }
      aa += static_cast<double>(scale * scale * m.ll);
      ab -= static_cast<double>(scale * min * m.l);
      bb += static_cast<double>(min * min * m.w);
      xa += static_cast<double>(scale * m.xl);
      xb -= static_cast<double>(min * m.x);
    }
    const double determinant = aa * bb - ab * ab;
    double new_d = aa > 0 ? xa / aa : 0.0, new_dmin = 0.0;
    if (determinant > 1e-9 * aa * bb) {
      new_d = (xa * bb - xb * ab) / determinant;
      new_dmin = (xb * aa - xa * ab) / determinant;
    }
    if (!(new_d > 0) || !(new_dmin >= 0)) return false;
    const F16Bits old_d = stored.d, old_dmin = stored.dmin;
    stored.d = block_.bits_of(static_cast<float>(new_d));
    stored.dmin = block_.bits_of(static_cast<float>(new_dmin));
    return stored.d != old_d || stored.dmin != old_dmin;
  }

  void assign_levels(const Stored& stored, uint8_t* levels) const {
    const float d = block_.value_of(stored.d), dmin = block_.value_of(stored.dmin);
    for (int i = 0; i < kSuperblock; ++i) {
      const int s = i / kSize;
      const float scale = d * static_cast<float>(stored.scales[s]);
      const float above = block_.x[i] + dmin * static_cast<float>(stored.mins[s]);
      const float level = scale > 0 ? std::clamp(above / scale, 0.0f, search_.max_level) : 0.0f;
      levels[i] = static_cast<uint8_t>(level + 0.5f);
    }
  }

  AffineSearch search_;
  int max_integer_;
  WeightedBlock<kSuperblock> block_;
};

// Fills d, dmin and scales of a q4_K or q5_K block.
template <typename Block>
void store_factors(const StoredAffine<kNumScales>& stored, Block& block) {
  ScaleMin pairs[kNumScales];
  for (int s = 0; s < kNumScales; ++s) pairs[s] = {stored.scales[s], stored.mins[s]};
  pack_scale_mins(pairs, block.scales);
  block.d = stored.d;
  block.dmin = stored.dmin;
}

constexpr AffineSearch kQ2Search{3.0f, -0.6f, 0.2f, 9, true};
constexpr AffineSearch kQ4Search{15.0f, -1.0f, 0.2f, 11, true};
constexpr AffineSearch kQ5Search{31.0f, -0.6f, 0.2f, 9, true};

}  // namespace

void encode_block(const float* src, const float* importance, BlockQ2_K& block) {
  constexpr int kNumSub = 16;
  uint8_t levels[kSuperblock];
  AffineSuperblock<kNumSub> superblock(kQ2Search, 15);
  const StoredAffine<kNumSub> stored = superblock.encode(src, importance, levels);
  block.d = stored.d;
  block.dmin = stored.dmin;
  for (int s = 0; s < kNumSub; ++s) {
    block.scales[s] = static_cast<uint8_t>(stored.scales[s] | (stored.mins[s] << 4));
  }
  pack_two_bits(levels, block.qs);
}

void encode_block(const float* src, const float* importance, BlockQ4_K& block) {
  uint8_t levels[kSuperblock];
  AffineSuperblock<kNumScales> superblock(kQ4Search, 63);
  store_factors(superblock.encode(src, importance, levels), block);
  for (int i = 0; i < kSuperblock / 2; ++i) {
    const uint8_t* pair = levels + 64 * (i / 32) + i % 32;
    block.qs[i] = static_cast<uint8_t>(pair[0] | (pair[32] << 4));
  }
}

void encode_block(const float* src, const float* importance, BlockQ5_K& block) {
  uint8_t levels[kSuperblock];
  AffineSuperblock<kNumScales> superblock(kQ5Search, 63);
  store_factors(superblock.encode(src, importance, levels), block);
  std::memset(block.qh, 0, sizeof(block.qh));
  for (int i = 0; i < kSuperblock; ++i) {
    block.qh[i % 32] = static_cast<uint8_t>(block.qh[i % 32] | ((levels[i] >> 4) << (i / 32)));
  }
  for (int i = 0; i < kSuperblock / 2; ++i) {
    const uint8_t* pair = levels + 64 * (i / 32) + i % 32;
    block.qs[i] = static_cast<uint8_t>((pair[0] & 15) | ((pair[32] & 15) << 4));
  }
}

}  // namespace ruvllm::codec
