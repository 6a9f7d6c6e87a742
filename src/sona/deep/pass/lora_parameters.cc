#include "sona/deep/pass/lora_parameters.h"

#include <cmath>
#include <utility>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {

using adapters::Adapter;
using ops::LoraTarget;

LoraParameters::LoraParameters(adapters::BaseShape base, const LoraShape& shape)
    : base_(std::move(base)), shape_(shape) {
  values_.resize(offset(base_.num_layers, LoraTarget::kQ));
}

size_t LoraParameters::a_size(LoraTarget target) const {
  return static_cast<size_t>(shape_.rank) * static_cast<size_t>(base_.in_dim(target));
}

size_t LoraParameters::b_size(LoraTarget target) const {
  return static_cast<size_t>(shape_.rank) * static_cast<size_t>(base_.out_dim(target));
}

size_t LoraParameters::offset(int32_t layer_idx, LoraTarget target) const {
  size_t layer = 0, before = 0;
  for (size_t t = 0; t < ops::kNumLoraTargets; ++t) {
    const auto each = static_cast<LoraTarget>(t);
    if (each == target) before = layer;
    layer += a_size(each) + b_size(each);
  }
  return static_cast<size_t>(layer_idx) * layer + before;
}

Result<LoraParameters> LoraParameters::create(const model::ModelConfig& config,
                                              const LoraShape& shape, uint64_t seed) {
  if (shape.rank < 1 || shape.rank > kMaxTrainedRank) {
    return fail(ErrorCode::kInvalidArgument, "LoRA rank {}: it must be 1 to {}", shape.rank,
                kMaxTrainedRank);
  }
  if (!std::isfinite(shape.alpha) || shape.alpha <= 0.0f) {
    return fail(ErrorCode::kInvalidArgument, "LoRA alpha {}: it must be more than 0", shape.alpha);
  }
  LoraParameters parameters(config.lora_base(), shape);
  const RandomStream random(seed);
  for (int32_t layer = 0; layer < config.num_layers; ++layer) {
    for (size_t t = 0; t < ops::kNumLoraTargets; ++t) {
      const auto target = static_cast<LoraTarget>(t);
      const size_t first = parameters.offset(layer, target);
      const double bound = 1.0 / std::sqrt(static_cast<double>(parameters.base_.in_dim(target)));
      for (size_t i = first; i < first + parameters.a_size(target); ++i) {
        parameters.values_[i] = static_cast<float>((2.0 * random.uniform(i) - 1.0) * bound);
      }
    }
  }
  return parameters;
}

LoraFactors LoraParameters::factors(int32_t layer_idx, LoraTarget target) const {
  const float* a = values_.data() + offset(layer_idx, target);
  return {a,
          a + a_size(target),
          shape_.rank,
          base_.in_dim(target),
          base_.out_dim(target),
          shape_.alpha / static_cast<float>(shape_.rank)};
}

LoraGradients LoraParameters::gradients(float* values, int32_t layer_idx, LoraTarget target) const {
  float* a = values + offset(layer_idx, target);
  return {a, a + a_size(target)};
}

std::vector<Adapter::Matrices> LoraParameters::matrices() const {
  std::vector<Adapter::Matrices> all;
  for (int32_t layer = 0; layer < base_.num_layers; ++layer) {
    for (size_t t = 0; t < ops::kNumLoraTargets; ++t) {
      const auto target = static_cast<LoraTarget>(t);
      const LoraFactors from = factors(layer, target);
      all.push_back({layer,
                     target,
                     from.rank,
                     from.scale,
                     {from.a, from.a + a_size(target)},
                     {from.b, from.b + b_size(target)}});
    }
  }
  return all;
}

Result<std::shared_ptr<const Adapter>> LoraParameters::to_adapter(const std::string& name) const {
  return Adapter::create(name, base_, matrices());
}

}  // namespace ruvllm::sona
