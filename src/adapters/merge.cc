#include "adapters/merge.h"

#include <utility>

namespace ruvllm::adapters {

std::vector<Adapter::Matrices> additions(const AdapterSet& set, int32_t layer_idx,
                                         ops::LoraTarget target) {
  std::vector<Adapter::Matrices> found;
  for (const ScaledAdapter& each : set.adapters()) {
    for (const Adapter::Factors& factors : each.adapter->factors()) {
      if (factors.layer_idx != layer_idx || factors.target != target) continue;
      Adapter::Matrices matrices = each.adapter->matrices(factors);
      matrices.scale *= each.scale;
      found.push_back(std::move(matrices));
    }
  }
  return found;
}

void add_to_weight_row(std::span<const Adapter::Matrices> additions, int32_t row_idx,
                       int32_t in_dim, float* row) {
  for (const Adapter::Matrices& part : additions) {
    const float* b = part.b.data() + static_cast<int64_t>(row_idx) * part.rank;
    for (int32_t j = 0; j < part.rank; ++j) {
      const float factor = part.scale * b[j];
      const float* a = part.a.data() + static_cast<int64_t>(j) * in_dim;
      for (int32_t i = 0; i < in_dim; ++i) row[i] += factor * a[i];
    }
  }
}

}  // namespace ruvllm::adapters
