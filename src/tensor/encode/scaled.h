// Weighted least-squares fits of x = scale * level, with levels from a symmetric range or a table.
//
// A fit tries grids around those that put the value of largest magnitude on the lowest or on the
// highest level. Among the levels that grids give, those with the largest projection of the values
// on them have the least error; the best scale is then a quotient of two moments.
#pragma once

#include <cmath>

#include "tensor/codec_blocks.h"
#include "tensor/encode/lanes.h"

namespace ruvllm::codec {

// Whole numbers from lowest to highest.
struct UniformLevels {
  float lowest;
  float highest;

  Floats nearest_level(Floats scaled) const {
    return smaller(larger(nearest(scaled), splat(lowest)), splat(highest));
  }
};

// Moments of values against levels: what a scale and its error follow from.
struct ScaleMoments {
  float ll = 0;  // sum of w * level * level
  float xl = 0;  // sum of w * x * level
};

template <int kCount, typename Levels>
ScaleMoments scale_moments(const float* x, const float* w, const Levels& levels, float inverse) {
  const Floats factor = splat(inverse);
  Floats sum_ll{}, sum_xl{};
  for (int i = 0; i < kCount; i += kLanes) {
    const Floats value = load(x + i);
    const Floats level = levels.nearest_level(value * factor);
    const Floats wl = load(w + i) * level;
    sum_ll += wl * level, sum_xl += wl * value;
  }
  return {sum(sum_ll), sum(sum_xl)};
}

// Steps of 1 / 160 of the range on either side of both starts.
template <int kCount, typename Levels>
float fit_scale(const float* x, const float* w, const Levels& levels, int num_grids) {
  const float extreme = signed_extreme(x, kCount);
  if (extreme == 0) return 0;
  const float step = (levels.highest - levels.lowest) / 160.0f;
  float best_scale = 0;
  float best_gain = -1;
  for (const float anchor : {levels.lowest, levels.highest}) {
    for (int grid = 0; grid < num_grids; ++grid) {
      const float offset = step * static_cast<float>(grid - num_grids / 2);
      const ScaleMoments moments = scale_moments<kCount>(x, w, levels, (anchor + offset) / extreme);
      if (moments.ll > 0 && moments.xl * moments.xl > best_gain * moments.ll) {
        best_gain = moments.xl * moments.xl / moments.ll;
        best_scale = moments.xl / moments.ll;
      }
    }
  }
  return best_scale;
}

// Weighted squared error of x against scale * nearest level.
template <int kCount, typename Levels>
float scale_error(const float* x, const float* w, const Levels& levels, float scale) {
  const Floats inverse = splat(1.0f / scale), factor = splat(scale);
  Floats error{};
  for (int i = 0; i < kCount; i += kLanes) {
    const Floats value = load(x + i);
    const Floats rest = scale != 0 ? value - factor * levels.nearest_level(value * inverse) : value;
    error += load(w + i) * rest * rest;
  }
  return sum(error);
}

}  // namespace ruvllm::codec
