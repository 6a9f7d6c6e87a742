#include "sona/loops/evidence/scorer.h"

#include <cmath>
#include <limits>

#include "adapters/head/expert_weights.h"

namespace ruvllm::sona {
namespace {

constexpr float kUnknown = -std::numeric_limits<float>::infinity();

}  // namespace

EvidenceScorer::EvidenceScorer(const kernels::KernelTable& kernels, int32_t hidden_dim,
                               int32_t vocab_size)
    : evaluator_(kernels, hidden_dim), logits_(static_cast<size_t>(vocab_size), kUnknown) {}

bool EvidenceScorer::evaluate(const adapters::HeadAdapter& adapter, const TokenEvidence& token) {
  for (size_t i = 0; i < token.candidate_tokens.size(); ++i) {
    logits_[static_cast<size_t>(token.candidate_tokens[i])] = token.candidate_logits[i];
  }
  const bool adds = evaluator_.evaluate(adapter, token.hidden, logits_, token.log_sum_exp);
  for (const int32_t id : token.candidate_tokens) logits_[static_cast<size_t>(id)] = kUnknown;
  return adds;
}

double EvidenceScorer::mixture(const adapters::HeadAdapter& adapter,
                               std::span<const TokenEvidence> tokens,
                               std::vector<double>* by_token) {
  adapters::ExpertWeights weights(adapter.prior);
  double sum = 0;
  for (const TokenEvidence& token : tokens) {
    const double gain = evaluate(adapter, token) ? evaluator_.update(weights, token.target) : 0.0;
    sum += gain;
    if (by_token != nullptr) by_token->push_back(gain);
  }
  return sum;
}

double EvidenceScorer::expert(const adapters::HeadAdapter& adapter, size_t expert,
                              std::span<const TokenEvidence> tokens) {
  double sum = 0;
  for (const TokenEvidence& token : tokens) {
    if (!evaluate(adapter, token)) continue;
    ratio_.resize(evaluator_.num_experts());
    evaluator_.ratios(token.target, ratio_);
    sum += std::log((1 + ratio_[expert]) / 2);
  }
  return sum;
}

}  // namespace ruvllm::sona
