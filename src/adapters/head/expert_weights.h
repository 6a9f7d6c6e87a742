// How much a conversation trusts each expert at the head: fixed-share Bayes weights (Herbster and
// Warmuth 1998) within a second, plain Bayes mixture with the base alone.
//
// The inner weights u follow changes of subject: u_k <- (1 - share) u_k p_k / sum_j u_j p_j
// + share prior_k. The outer weight v of the base alone never shares, so that over any stream
//   -sum log p_mixture <= -sum log p_base + ln(1 / prior of the base),
// while the inner mixture, which has the base among its experts, falls behind the base so slowly
// that v never leads by more than that.
//
// Corrections are a specialist (Freund et al. 1997): where they are silent they say what the
// mixture says, so that the trust in them, their weight w above the mixture, stays as it is. They
// add at most ln(1 / (1 - w)) to the loss of a stream, w the trust that it begins with, and a share
// of that for each token on which they speak.
//
// Expert 0 is the base. One object a conversation, reset at its start; not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace ruvllm::adapters {

inline constexpr size_t kMaxHeadExperts = 8;

// What the corrections say of one token (HeadEvaluator::correction).
struct CorrectionSays {
  double gate = 0;   // g: 0 where they are silent
  double ratio = 0;  // q(token) / p_base(token)
};

class ExpertWeights {
 public:
  static constexpr double kDefaultShare = 0.002;
  static constexpr double kDefaultTrust = 0.98;

  // prior: positive, of 1 to kMaxHeadExperts experts; normalised here.
  explicit ExpertWeights(std::span<const double> prior, double share = kDefaultShare);

  size_t num_experts() const { return num_experts_; }
  // Back to the prior: a new conversation.
  void reset();
  // The weight of expert k in the mixture; they sum to 1.
  double weight(size_t expert) const {
    return (1.0 - outer_) * inner_[expert] + (expert == 0 ? outer_ : 0.0);
  }
  // The weight of the corrections above the mixture where their gate is open.
  double trust() const { return trust_; }
  // ratio[k] = p_k(token) / p_base(token) for the token that came; ratio[0] is 1. Returns
  // log(p_mixture / p_base) as it was before the update. Ratios that are not finite or all zero are
  // ignored: 0 is returned.
  double update(std::span<const double> ratio, const CorrectionSays& correction = {});

 private:
  size_t num_experts_;
  double share_;
  double outer_ = 0;  // v
  double trust_ = kDefaultTrust;
  std::array<double, kMaxHeadExperts> prior_ = {};
  std::array<double, kMaxHeadExperts> inner_ = {};
};

}  // namespace ruvllm::adapters
