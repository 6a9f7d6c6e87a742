// What the deep loop trains: float32 masters of low-rank factors for all seven products of all
// layers, in one array, so that gradients, moments and snapshots are arrays of the same layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "adapters/adapter.h"
#include "base/core/error.h"
#include "model/config.h"
#include "ops/lora.h"
#include "sona/deep/gradients/lora_product.h"

namespace ruvllm::sona {

inline constexpr int32_t kMaxTrainedRank = 64;

struct LoraShape {
  int32_t rank = 8;     // 1 to kMaxTrainedRank
  float alpha = 16.0f;  // the products' scale is alpha / rank

  bool operator==(const LoraShape&) const = default;
};

// Owns the values; thread-safe to read.
class LoraParameters {
 public:
  // A uniform in +-1 / sqrt(in_dim), as PEFT has it, B zero: the model's own products at first.
  static Result<LoraParameters> create(const model::ModelConfig& config, const LoraShape& shape,
                                       uint64_t seed);

  size_t count() const { return values_.size(); }
  std::vector<float>& values() { return values_; }
  const std::vector<float>& values() const { return values_; }
  const LoraShape& shape() const { return shape_; }

  LoraFactors factors(int32_t layer_idx, ops::LoraTarget target) const;
  // The place of the factors' gradients in an array of count() values.
  LoraGradients gradients(float* values, int32_t layer_idx, ops::LoraTarget target) const;

  // In binary16, as sequences use it.
  Result<std::shared_ptr<const adapters::Adapter>> to_adapter(const std::string& name) const;
  // In float, as files hold them.
  std::vector<adapters::Adapter::Matrices> matrices() const;

 private:
  LoraParameters(adapters::BaseShape base, const LoraShape& shape);
  size_t offset(int32_t layer_idx, ops::LoraTarget target) const;  // of A; B follows
  size_t a_size(ops::LoraTarget target) const;
  size_t b_size(ops::LoraTarget target) const;

  adapters::BaseShape base_;
  LoraShape shape_;
  std::vector<float> values_;
};

}  // namespace ruvllm::sona
