// Small adapters with random matrices, for tests.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "adapters/adapter.h"
#include "base/numeric/half.h"

namespace ruvllm::adapters {

inline BaseShape small_shape() {
  BaseShape base;
  base.architecture = "llama";
  base.num_layers = 2;
  base.hidden_dim = 24;
  base.ffn_dim = 40;
  base.num_heads = 4;
  base.num_kv_heads = 2;
  base.head_dim = 8;
  return base;
}

// Such as an adapter keeps without loss.
inline std::vector<float> random_values(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = f16_to_f32(f32_to_f16(normal(random)));
  return values;
}

inline std::vector<Adapter::Matrices> all_matrices(const Adapter& adapter) {
  std::vector<Adapter::Matrices> all;
  for (const Adapter::Factors& factors : adapter.factors()) {
    all.push_back(adapter.matrices(factors));
  }
  return all;
}

inline Adapter::Matrices random_matrices(const BaseShape& base, int32_t layer_idx,
                                         ops::LoraTarget target, int32_t rank, uint32_t seed) {
  const size_t size = static_cast<size_t>(rank);
  return {layer_idx,
          target,
          rank,
          0.5f,
          random_values(size * static_cast<size_t>(base.in_dim(target)), seed),
          random_values(size * static_cast<size_t>(base.out_dim(target)), seed + 1)};
}

// Every target of every layer.
inline std::shared_ptr<const Adapter> full_adapter(const std::string& name, const BaseShape& base,
                                                   int32_t rank, uint32_t seed) {
  std::vector<Adapter::Matrices> all;
  for (int32_t layer = 0; layer < base.num_layers; ++layer) {
    for (size_t t = 0; t < ops::kNumLoraTargets; ++t) {
      all.push_back(random_matrices(base, layer, static_cast<ops::LoraTarget>(t), rank, seed += 2));
    }
  }
  return Adapter::create(name, base, std::move(all)).value();
}

}  // namespace ruvllm::adapters
