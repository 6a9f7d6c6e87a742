// Weighted least-squares fits of x = scale * level + offset with levels 0 to max_level.
//
// A fit tries grids around the one that just spans the values. For the levels that a grid gives,
// the best scale and offset have a closed form; the next grid starts at the fitted offset (Lloyd's
// step). The error follows from the moments, without another pass over the values.
#pragma once

#include <algorithm>
#include <cfloat>

#include "tensor/encode/lanes.h"

namespace ruvllm::codec {

struct AffineFit {
  float scale = 0;
  float offset = 0;
};

// Grids spread the range of the values over max_level + first + i * step levels.
struct AffineSearch {
  float max_level;
  float first;
  float step;
  int num_grids;
  bool offset_not_positive;  // as k-quants store it
};

// Weighted moments of values x against levels l. Those without a level do not depend on the grid.
struct Moments {
  float w = 0, x = 0, xx = 0, l = 0, ll = 0, xl = 0;

  float error(const AffineFit& fit) const {
    return xx + fit.scale * (fit.scale * ll - 2 * xl) +
           fit.offset * (fit.offset * w + 2 * (fit.scale * l - x));
  }
};

template <int kCount>
Moments value_moments(const float* x, const float* w) {
  Floats sum_w{}, sum_x{}, sum_xx{};
  for (int i = 0; i < kCount; i += kLanes) {
    const Floats weight = load(w + i), value = load(x + i), wx = weight * value;
    sum_w += weight, sum_x += wx, sum_xx += wx * value;
  }
  return {.w = sum(sum_w), .x = sum(sum_x), .xx = sum(sum_xx)};
}

// Adds the moments of the levels that `fit` gives the values.
template <int kCount>
void add_level_moments(const float* x, const float* w, float inverse_scale, float offset,
                       float max_level, Moments& moments) {
  const Floats inverse = splat(inverse_scale), start = splat(offset), top = splat(max_level);
  Floats sum_l{}, sum_ll{}, sum_xl{};
  for (int i = 0; i < kCount; i += kLanes) {
    const Floats value = load(x + i);
    const Floats level = smaller(larger(nearest((value - start) * inverse), splat(0.0f)), top);
    const Floats wl = load(w + i) * level;
    sum_l += wl, sum_ll += wl * level, sum_xl += wl * value;
  }
  moments.l = sum(sum_l), moments.ll = sum(sum_ll), moments.xl = sum(sum_xl);
}

inline AffineFit solve(const Moments& m, bool offset_not_positive) {
  const float determinant = m.w * m.ll - m.l * m.l;
  if (determinant > 0) {
    const float scale = (m.w * m.xl - m.x * m.l) / determinant;
    const float offset = (m.ll * m.x - m.l * m.xl) / determinant;
    if (offset <= 0 || !offset_not_positive) return {scale, offset};
  }
  return {m.ll > 0 ? m.xl / m.ll : 0.0f, 0.0f};
}

template <int kCount>
AffineFit fit_affine(const float* x, const float* w, const AffineSearch& search) {
  const auto [smallest, largest] = std::minmax_element(x, x + kCount);
  const float high = *largest;
  float low = search.offset_not_positive ? std::min(0.0f, *smallest) : *smallest;
  AffineFit best{0.0f, low};
  if (high <= low) return best;
  Moments moments = value_moments<kCount>(x, w);
  float best_error = FLT_MAX;
  for (int grid = 0; grid < search.num_grids && low < high; ++grid) {
    const float steps = search.max_level + search.first + search.step * static_cast<float>(grid);
    add_level_moments<kCount>(x, w, steps / (high - low), low, search.max_level, moments);
    const AffineFit fit = solve(moments, search.offset_not_positive);
    const float error = moments.error(fit);
    if (error < best_error && fit.scale > 0) {
      best = fit;
      best_error = error;
      low = fit.offset;
    }
  }
  return best;
}

// Weighted squared error of x against scale * level + offset with the nearest levels; scale > 0.
template <int kCount>
float affine_error(const float* x, const float* w, const AffineFit& fit, float max_level) {
  const Floats inverse = splat(1.0f / fit.scale), scale = splat(fit.scale);
  const Floats start = splat(fit.offset), top = splat(max_level);
  Floats error{};
  for (int i = 0; i < kCount; i += kLanes) {
    const Floats value = load(x + i) - start;
    const Floats level = smaller(larger(nearest(value * inverse), splat(0.0f)), top);
    const Floats rest = value - scale * level;
    error += load(w + i) * rest * rest;
  }
  return sum(error);
}

}  // namespace ruvllm::codec
