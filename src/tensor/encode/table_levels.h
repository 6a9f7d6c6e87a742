// Levels from a table of increasing values, as iq4_NL and iq4_XS have instead of evenly spaced
// ones.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/encode/lanes.h"

namespace ruvllm::codec {

template <int kSize>
struct TableLevels {
  float lowest, highest;
  float midpoints[static_cast<size_t>(kSize - 1)];  // between a value and the next
  float steps[static_cast<size_t>(kSize - 1)];

  explicit TableLevels(const int8_t* values) : lowest(values[0]), highest(values[kSize - 1]) {
    for (int i = 0; i + 1 < kSize; ++i) {
      midpoints[i] = 0.5f * static_cast<float>(values[i] + values[i + 1]);
      steps[i] = static_cast<float>(values[i + 1] - values[i]);
    }
  }

  Floats nearest_level(Floats scaled) const {
    Floats level = splat(lowest);
    for (int i = 0; i + 1 < kSize; ++i) {
      level += scaled > splat(midpoints[i]) ? splat(steps[i]) : Floats{};
    }
    return level;
  }

  // Place of a value that nearest_level() gave.
  int index_of(float level) const {
    int index = 0;
    for (int i = 0; i + 1 < kSize; ++i) index += level > midpoints[i] ? 1 : 0;
    return index;
  }
};

}  // namespace ruvllm::codec
