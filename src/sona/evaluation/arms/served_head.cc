#include "sona/evaluation/arms/served_head.h"

#include <cmath>
#include <cstddef>

namespace ruvllm::sona {

void ServedHead::predict(const adapters::HeadAdapter& adapter, const FeedChunk& chunk,
                         std::span<double> log_ratios, std::span<Ratios> raw) {
  const size_t num_experts = adapter.num_experts();
  if (!weights_ || weights_->num_experts() != num_experts) {
    weights_.emplace(adapter.prior, share_);
  }
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t place = static_cast<size_t>(position);
    Ratios ratios;
    ratios.fill(1.0);
    if (evaluator_.evaluate(adapter, chunk.hidden_of(position), chunk.logits_of(position),
                            chunk.log_sum_exp[place])) {
      evaluator_.ratios(chunk.targets[place], std::span(ratios).first(num_experts));
    }
    log_ratios[place] = weights_->update(std::span(ratios).first(num_experts));
    if (raw.empty()) continue;
    for (size_t expert = 0; expert < num_experts; ++expert) {
      raw[place][expert] = std::log(ratios[expert]);
    }
  }
}

}  // namespace ruvllm::sona
