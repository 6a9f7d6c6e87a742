#include "adapters/merge.h"

namespace ruvllm::adapters {

void add_to_weight_row(const ops::LoraView& set, int32_t layer_idx, ops::LoraTarget target,
                       int32_t row_idx, int32_t in_dim, float* row) {
  for (const ops::LoraPart& part : set.at(layer_idx, target)) {
    const float* b = part.b + static_cast<int64_t>(row_idx) * part.rank;
    for (int32_t j = 0; j < part.rank; ++j) {
      const float factor = part.scale * b[j];
      const float* a = part.a + static_cast<int64_t>(j) * in_dim;
      for (int32_t i = 0; i < in_dim; ++i) row[i] += factor * a[i];
    }
  }
}

}  // namespace ruvllm::adapters
