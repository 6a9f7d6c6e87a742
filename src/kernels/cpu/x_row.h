// One row of activations, as inner loops want it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"

namespace ruvllm::kernels {

struct XRow {
  const int8_t* q8;
  const int16_t* q16;
  const float* scales;
  const int16_t* sums16;
  const int16_t* sums32;
};

// `group_elements`: activations per float scale.
inline __attribute__((always_inline)) XRow x_row(const MatmulArgs& args, size_t row,
                                                 size_t group_elements) {
  const size_t num_cols = static_cast<size_t>(args.num_cols);
  XRow x = {};
  if (args.x.q8 != nullptr) x.q8 = args.x.q8 + row * num_cols;
  if (args.x.q16 != nullptr) x.q16 = args.x.q16 + row * num_cols;
  x.scales = args.x.scales + row * (num_cols / group_elements);
  if (args.x.sums16 != nullptr) x.sums16 = args.x.sums16 + row * (num_cols / 16);
  if (args.x.sums32 != nullptr) x.sums32 = args.x.sums32 + row * (num_cols / 32);
  return x;
}

}  // namespace ruvllm::kernels
