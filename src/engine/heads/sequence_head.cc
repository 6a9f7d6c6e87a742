#include "engine/heads/sequence_head.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/core/check.h"

namespace ruvllm::engine {

using adapters::HeadAdapter;

namespace {

constexpr const char* kRemedy = "it was learned for another model or its state is damaged";

Status check_rows(const HeadAdapter& adapter, const model::ModelConfig& config) {
  const auto& tokens = adapter.row_tokens;
  const bool ascend =
      std::ranges::adjacent_find(tokens, std::ranges::greater_equal()) == tokens.end();
  if (!ascend || (!tokens.empty() && (tokens.front() < 0 || tokens.back() >= config.vocab_size))) {
    return fail(ErrorCode::kInvalidArgument,
                "head adapter: row_tokens are not ascending tokens of the vocabulary of {}; {}",
                config.vocab_size, kRemedy);
  }
  for (const adapters::HiddenSpaceAdapter& hidden : adapter.hidden_spaces) {
    const size_t rank = static_cast<size_t>(hidden.rank);
    const size_t phi_dim = static_cast<size_t>(adapter.features->padded_dim()) + 1;
    const bool has_rank = hidden.rank > 0 && hidden.rank <= adapters::HiddenSpaceAdapter::kMaxRank;
    if (has_rank && hidden.down.size() == rank * phi_dim &&
        hidden.projected.size() == rank * tokens.size()) {
      continue;
    }
    return fail(ErrorCode::kInvalidArgument,
                "head adapter: a hidden space of rank {} has {} and {} numbers for {} rows; {}",
                hidden.rank, hidden.down.size(), hidden.projected.size(), tokens.size(), kRemedy);
  }
  const size_t blocks =
      tokens.size() * static_cast<size_t>(adapter.features->padded_dim() / kBlock32);
  for (const adapters::FastHeadRows& head : adapter.fast_heads) {
    if (head.rows.size() == blocks && head.biases.size() == tokens.size()) continue;
    return fail(ErrorCode::kInvalidArgument,
                "head adapter: a fast head has {} blocks and {} biases for {} rows; expected {} "
                "blocks; {}",
                head.rows.size(), head.biases.size(), tokens.size(), blocks, kRemedy);
  }
  return {};
}

Status check_corrections(const HeadAdapter& adapter, const model::ModelConfig& config) {
  const size_t blocks_per_row = static_cast<size_t>(adapter.features->padded_dim() / kBlock32);
  for (const auto& memory : adapter.corrections) {
    const bool is_whole = memory != nullptr && memory->thresholds.size() == memory->num_states() &&
                          memory->rows.size() == memory->num_states() * blocks_per_row;
    const bool are_tokens = is_whole && std::ranges::all_of(memory->targets, [&](int32_t token) {
                              return token >= 0 && token < config.vocab_size;
                            });
    if (are_tokens) continue;
    return fail(ErrorCode::kInvalidArgument,
                "head adapter: corrections whose states, thresholds and tokens do not belong "
                "together or to a vocabulary of {}; {}",
                config.vocab_size, kRemedy);
  }
  return {};
}

}  // namespace

Status check_head(const HeadAdapter& adapter, const model::ModelConfig& config) {
  if (!changes_logits(adapter)) return {};
  if (adapter.features == nullptr || adapter.features->hidden_dim() != config.hidden_dim) {
    return fail(ErrorCode::kInvalidArgument,
                "head adapter: its features have {} dimensions, the model's hidden states {}; {}",
                adapter.features == nullptr ? 0 : adapter.features->hidden_dim(), config.hidden_dim,
                kRemedy);
  }
  const size_t num_experts = adapter.num_experts();
  const bool is_prior =
      std::ranges::all_of(adapter.prior, [](double p) { return std::isfinite(p) && p > 0; });
  if (num_experts > adapters::kMaxHeadExperts || adapter.prior.size() != num_experts || !is_prior) {
    return fail(ErrorCode::kInvalidArgument,
                "head adapter: {} experts with {} prior weights; expected at most {}, each with a "
                "positive weight; {}",
                num_experts, adapter.prior.size(), adapters::kMaxHeadExperts, kRemedy);
  }
  RUVLLM_TRY(check_corrections(adapter, config));
  return check_rows(adapter, config);
}

bool changes_logits(const HeadAdapter& adapter) {
  return !adapter.empty() && (adapter.num_experts() > 1 || !adapter.corrections.empty());
}

SequenceHead::SequenceHead(std::shared_ptr<const HeadAdapter> adapter,
                           const kernels::KernelTable& kernels, int32_t hidden_dim,
                           int32_t first_hedged, int32_t end_hedged)
    : adapter_(std::move(adapter)),
      evaluator_(kernels, hidden_dim),
      weights_(adapter_->prior),
      prompt_weights_(weights_),
      next_hedged_(first_hedged),
      end_hedged_(end_hedged) {
  evaluator_.reserve(*adapter_);
}

void SequenceHead::weights_into(std::span<double> weights) const {
  for (size_t k = 0; k < weights_.num_experts(); ++k) weights[k] = weights_.weight(k);
}

void SequenceHead::evaluate(std::span<const float> hidden, std::span<const float> logits,
                            double log_sum_exp) {
  has_experts_ = evaluator_.evaluate(*adapter_, hidden, logits, log_sum_exp);
  log_sum_exp_ = log_sum_exp;
  is_evaluated_ = true;
}

void SequenceHead::adjust(std::span<float> logits) const {
  RUVLLM_DCHECK(is_evaluated_);
  if (has_experts_) evaluator_.adjust(weights_, logits);
}

double SequenceHead::update(int32_t token) {
  RUVLLM_DCHECK(is_evaluated_);
  is_evaluated_ = false;
  return has_experts_ ? evaluator_.update(weights_, token) : 0;
}

void SequenceHead::hedged() {
  RUVLLM_DCHECK(is_hedging());
  if (++next_hedged_ == end_hedged_) prompt_weights_ = weights_;
}

void SequenceHead::take_prompt_weights(const SequenceHead& other) {
  if (!is_hedging()) return;
  RUVLLM_DCHECK(!other.is_hedging());
  weights_ = prompt_weights_ = other.prompt_weights_;
  next_hedged_ = end_hedged_;
}

}  // namespace ruvllm::engine
