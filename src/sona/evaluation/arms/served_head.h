// A head adapter as the engine serves it: HeadEvaluator's experts under a conversation's
// ExpertWeights.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "adapters/head/evaluator.h"
#include "adapters/head/expert_weights.h"
#include "adapters/head/head_adapter.h"
#include "kernels/cpu/kernel_table.h"
#include "sona/evaluation/feed/text_feed.h"

namespace ruvllm::sona {

class ServedHead {
 public:
  using Ratios = std::array<double, adapters::kMaxHeadExperts>;

  ServedHead(const kernels::KernelTable& kernels, int32_t hidden_dim, double share)
      : evaluator_(kernels, hidden_dim), share_(share) {}

  void begin_conversation() { weights_.reset(); }
  // log(p / p_0) of the targets. `raw`, where given, gets every expert's own beside it,
  // [positions].
  void predict(const adapters::HeadAdapter& adapter, const FeedChunk& chunk,
               std::span<double> log_ratios, std::span<Ratios> raw = {});
  const std::optional<adapters::ExpertWeights>& weights() const { return weights_; }

 private:
  adapters::HeadEvaluator evaluator_;
  double share_;
  std::optional<adapters::ExpertWeights> weights_;  // none before a conversation's first token
};

}  // namespace ruvllm::sona
