#include "sona/instant/instant_learner.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "adapters/head/expert_weights.h"
#include "base/core/check.h"

namespace ruvllm::sona {

InstantLearner::InstantLearner(const kernels::KernelTable& kernels,
                               std::shared_ptr<const adapters::HeadFeatures> features,
                               InstantOptions options)
    : features_(std::move(features)),
      options_(std::move(options)),
      products_(kernels, features_->padded_dim(), FastHeadLearner::kMaxBatch),
      rows_(options_.max_rows),
      memory_(kernels, features_->padded_dim()),
      kto_reference_(options_.fast_heads.size()) {
  RUVLLM_CHECK(options_.max_rows >= FastHeadLearner::kMaxBatch);
  RUVLLM_CHECK(1 + options_.fast_heads.size() + options_.memory_experts.size() <=
               adapters::kMaxHeadExperts);
  for (const FastHeadOptions& head : options_.fast_heads) {
    fast_heads_.emplace_back(head, features_->padded_dim());
  }
}

bool InstantLearner::is_valid(const TokenEvidence& token) const {
  const auto& ids = token.candidate_tokens;
  if (token.hidden.size() != static_cast<size_t>(features_->hidden_dim()) ||
      ids.size() != token.candidate_logits.size() || !std::isfinite(token.log_sum_exp) ||
      !std::isfinite(token.weight)) {
    return false;
  }
  const auto not_ascending = [](int32_t a, int32_t b) { return a >= b; };
  if (std::ranges::adjacent_find(ids, not_ascending) != ids.end()) return false;
  // No logit exceeds the log of the sum over all; a NaN fails too.
  const double highest = token.log_sum_exp + 1e-3;
  for (const float logit : token.candidate_logits) {
    if (!(static_cast<double>(logit) <= highest)) return false;
  }
  const auto target = std::ranges::lower_bound(ids, token.target);
  return target != ids.end() && *target == token.target &&
         std::isfinite(token.candidate_logits[static_cast<size_t>(target - ids.begin())]);
}

FeatureBatch InstantLearner::next_batch(std::span<const TokenEvidence>& tokens,
                                        LearnReport& report) {
  const size_t padded_dim = static_cast<size_t>(features_->padded_dim());
  const size_t width = padded_dim + 1;
  batch_.clear();
  phi_.resize(FastHeadLearner::kMaxBatch * width);
  while (!tokens.empty() && batch_.size() < FastHeadLearner::kMaxBatch) {
    const TokenEvidence& token = tokens.front();
    tokens = tokens.subspan(1);
    const std::span<float> phi = std::span(phi_).subspan(batch_.size() * width, width);
    if (!is_valid(token) || !features_->unit(token.hidden, phi.first(padded_dim))) {
      ++report.num_refused;
      continue;
    }
    phi[padded_dim] = adapters::HeadFeatures::kBias;
    products_.set_input(static_cast<int32_t>(batch_.size()), phi.first(padded_dim));
    batch_.push_back(token);
    const RowTable::Taken taken = rows_.take(token.target);
    if (taken.is_new) {
      for (FastHeadLearner& head : fast_heads_) head.start_row(taken.slot);
    }
  }
  return {batch_, phi_, rows_.entries(), rows_.num_rows()};
}

void InstantLearner::learn_weighted(std::span<const TokenEvidence> tokens,
                                    std::span<const double> weights, bool remembers,
                                    LearnReport& report) {
  const size_t padded_dim = static_cast<size_t>(features_->padded_dim());
  while (!tokens.empty()) {
    const FeatureBatch batch = next_batch(tokens, report);
    if (batch.tokens.empty()) continue;
    for (size_t k = 0; k < fast_heads_.size(); ++k) {
      const double log_ratio = fast_heads_[k].learn(batch, products_, weights[k]);
      if (k == 0) report.log_ratio += log_ratio;
    }
    report.num_learned += static_cast<int64_t>(batch.tokens.size());
    for (size_t t = 0; remembers && t < batch.tokens.size(); ++t) {
      if (batch.tokens[t].weight <= 0) continue;
      memory_.append(std::span(phi_).subspan(t * (padded_dim + 1), padded_dim),
                     batch.tokens[t].target);
    }
    restart_harmful(report);
  }
}

void InstantLearner::restart_harmful(LearnReport& report) {
  for (FastHeadLearner& head : fast_heads_) {
    if (head.harm().measured <= options_.max_harm) continue;
    head.clear();
    for (int32_t slot = 0; slot < rows_.num_rows(); ++slot) head.start_row(slot);
    ++report.num_restarts;
  }
}

LearnReport InstantLearner::learn(std::span<const TokenEvidence> tokens) {
  LearnReport report;
  learn_weighted(tokens, std::vector<double>(fast_heads_.size(), 1.0), true, report);
  return report;
}

std::vector<double> InstantLearner::log_ratios(std::span<const TokenEvidence> tokens) {
  std::vector<double> sums(fast_heads_.size());
  LearnReport unused;
  while (!tokens.empty()) {
    const FeatureBatch batch = next_batch(tokens, unused);
    if (batch.tokens.empty()) continue;
    for (size_t k = 0; k < fast_heads_.size(); ++k) {
      sums[k] += fast_heads_[k].log_ratio(batch, products_);
    }
  }
  return sums;
}

LearnReport InstantLearner::learn_rating(std::span<const TokenEvidence> response,
                                         bool is_desirable) {
  const std::vector<double> ratios = log_ratios(response);
  std::vector<double> weights(fast_heads_.size());
  ++num_ratings_;
  for (size_t k = 0; k < fast_heads_.size(); ++k) {
    weights[k] = kto_weight(options_.kto, is_desirable, ratios[k], kto_reference_[k]);
    kto_reference_[k] += (ratios[k] - kto_reference_[k]) / static_cast<double>(num_ratings_);
  }
  LearnReport report;
  learn_weighted(response, weights, false, report);
  return report;
}

LearnReport InstantLearner::learn_pair(std::span<const TokenEvidence> chosen,
                                       std::span<const TokenEvidence> rejected) {
  const std::vector<double> chosen_ratios = log_ratios(chosen);
  const std::vector<double> rejected_ratios = log_ratios(rejected);
  std::vector<double> weights(fast_heads_.size());
  for (size_t k = 0; k < fast_heads_.size(); ++k) {
    weights[k] = dpo_weight(options_.dpo_beta, chosen_ratios[k], rejected_ratios[k]);
  }
  LearnReport report;
  learn_weighted(chosen, weights, false, report);
  for (double& weight : weights) weight = -weight;
  learn_weighted(rejected, weights, false, report);
  return report;
}

std::shared_ptr<const adapters::HeadAdapter> InstantLearner::publish() {
  auto adapter = std::make_shared<adapters::HeadAdapter>();
  adapter->generation = ++generation_;
  adapter->features = features_;
  adapter->row_tokens.reserve(rows_.entries().size());
  for (const RowTable::Entry& entry : rows_.entries()) adapter->row_tokens.push_back(entry.token);
  for (const FastHeadLearner& head : fast_heads_) {
    adapter->fast_heads.push_back(head.snapshot(rows_.entries()));
  }
  adapter->memory = memory_.view();
  adapter->memory_experts = options_.memory_experts;
  const size_t num_others = adapter->num_experts() - 1;
  adapter->prior.assign(adapter->num_experts(),
                        (1.0 - options_.base_prior) / static_cast<double>(num_others));
  adapter->prior[0] = options_.base_prior;
  return adapter;
}

void InstantLearner::end_task() {
  for (FastHeadLearner& head : fast_heads_) head.end_task();
}

void InstantLearner::clear() {
  rows_.clear();
  memory_.clear();
  for (FastHeadLearner& head : fast_heads_) head.clear();
  std::ranges::fill(kto_reference_, 0.0);
  num_ratings_ = 0;
}

}  // namespace ruvllm::sona
