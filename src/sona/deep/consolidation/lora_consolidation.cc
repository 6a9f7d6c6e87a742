#include "sona/deep/consolidation/lora_consolidation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {

Result<std::vector<float>> estimate_fisher(TrainingPass& pass, const LoraParameters& parameters,
                                           std::span<const TrainingExample> examples,
                                           const FisherOptions& options) {
  const auto count =
      std::min(examples.size(), static_cast<size_t>(std::max<int32_t>(options.max_examples, 0)));
  const RandomStream seeds(options.seed);
  std::vector<float> gradients(parameters.count());
  std::vector<double> squares(parameters.count());
  double weight = 0.0;
  for (size_t i = 0; i < count; ++i) {
    std::ranges::fill(gradients, 0.0f);
    RUVLLM_TRY(
        pass.add_sampled_gradients(examples[i], parameters, seeds.bits(i), gradients.data()));
    for (size_t j = 0; j < squares.size(); ++j) {
      const double gradient = gradients[j];
      squares[j] += gradient * gradient;
    }
    for (size_t token = 0; token < examples[i].tokens.size(); ++token) {
      weight += std::abs(static_cast<double>(examples[i].token_weights[token])) +
                static_cast<double>(examples[i].kl_weight(token));
    }
  }
  const bool has_any = std::ranges::any_of(squares, [](double value) { return value > 0.0; });
  if (!(weight > 0.0) || !has_any) {
    return fail(ErrorCode::kInvalidArgument,
                "the Fisher information of {} examples is nothing; give examples whose tokens have "
                "weights",
                count);
  }
  std::vector<float> fisher(squares.size());
  std::ranges::transform(squares, fisher.begin(),
                         [&](double value) { return static_cast<float>(value / weight); });
  return fisher;
}

Result<LoraConsolidation> LoraConsolidation::restore(std::vector<float> fisher,
                                                     std::vector<float> anchor) {
  LoraConsolidation restored;
  RUVLLM_TRY(restored.end_task(fisher, anchor, 0.0));
  return restored;
}

Status LoraConsolidation::end_task(std::span<const float> task_fisher,
                                   std::span<const float> weights, double decay) {
  if (task_fisher.size() != weights.size() || (!empty() && task_fisher.size() != fisher_.size())) {
    return fail(ErrorCode::kInvalidArgument,
                "consolidation: a Fisher of {} values for {} weights beside {} held ones",
                task_fisher.size(), weights.size(), fisher_.size());
  }
  if (!(decay >= 0.0 && decay <= 1.0)) {
    return fail(ErrorCode::kInvalidArgument, "consolidation: the decay {} must be in [0, 1]",
                decay);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    if (std::isfinite(task_fisher[i]) && task_fisher[i] >= 0.0f && std::isfinite(weights[i])) {
      continue;
    }
    return fail(ErrorCode::kCorrupt,
                "consolidation: parameter {} has Fisher {} and weight {}; both must be finite and "
                "the first not negative",
                i, task_fisher[i], weights[i]);
  }
  fisher_.resize(weights.size());
  for (size_t i = 0; i < fisher_.size(); ++i) {
    fisher_[i] = static_cast<float>(decay) * fisher_[i] + task_fisher[i];
  }
  anchor_.assign(weights.begin(), weights.end());
  return {};
}

void LoraConsolidation::hold(double lambda, std::span<const float> rates,
                             std::span<float> parameters) const {
  if (empty() || lambda == 0.0) return;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const double held = static_cast<double>(fisher_[i]) * static_cast<double>(rates[i]);
    if (!(held > 0.0)) continue;
    // r lambda F / (1 + r lambda F) in a form that has a value for any lambda.
    const double share = 1.0 / (1.0 + 1.0 / (held * lambda));
    const double own = parameters[i], anchor = anchor_[i];
    parameters[i] = share >= 1.0 ? anchor_[i] : static_cast<float>(own + share * (anchor - own));
  }
}

}  // namespace ruvllm::sona
