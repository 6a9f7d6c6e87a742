// A small model's head for tests: it knows how frequent tokens are, and nothing of what the hidden
// states tell about them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/head/features.h"
#include "adapters/head/hidden_space/hidden_space.h"
#include "base/numeric/random_stream.h"
#include "sona/instant/token_evidence.h"

namespace ruvllm::sona {

// One position with all that a token's evidence points to.
struct ToyToken {
  std::vector<float> hidden;
  std::vector<float> logits;  // [vocab]
  double log_sum_exp = 0;
  int32_t target = 0;
};

class ToyModel {
 public:
  static constexpr int32_t kHidden = 40;  // not in whole blocks
  static constexpr int32_t kVocab = 120;
  static constexpr int32_t kSubjects = 12;

  ToyModel() {
    for (float& weight : head_) weight = static_cast<float>(0.1 * symmetric());
    for (float& x : centres_) x = static_cast<float>(symmetric());
    for (int32_t i = 0; i < kVocab; ++i) all_tokens_[static_cast<size_t>(i)] = i;
    features_ = std::make_shared<adapters::HeadFeatures>(std::vector<float>(kHidden, 0.05f));
  }

  std::shared_ptr<const adapters::HeadFeatures> features() const { return features_; }

  // A hidden state of one of the subjects from `first_subject` on, followed by the token that
  // belongs to the subject four times of five.
  ToyToken draw(int32_t first_subject = 0, int32_t num_subjects = kSubjects) {
    const int32_t subject = first_subject + below(num_subjects);
    ToyToken token;
    for (size_t i = 0; i < kHidden; ++i) {
      const float centre = centres_[static_cast<size_t>(subject) * kHidden + i];
      token.hidden.push_back(centre + 0.4f * static_cast<float>(symmetric()));
    }
    double sum = 0;
    for (size_t v = 0; v < kVocab; ++v) {
      const bool is_subjects = v % 7 == 3 && v / 7 < kSubjects;
      double z = std::log(0.2 / kVocab + (is_subjects ? 0.8 / kSubjects : 0.0));
      for (size_t i = 0; i < kHidden; ++i) {
        z += static_cast<double>(head_[v * kHidden + i]) * static_cast<double>(token.hidden[i]);
      }
      token.logits.push_back(static_cast<float>(z));
      sum += std::exp(static_cast<double>(token.logits.back()));
    }
    token.log_sum_exp = std::log(sum);
    token.target = uniform() < 0.8 ? subject * 7 + 3 : below(kVocab);
    return token;
  }
  std::vector<ToyToken> draw_many(size_t count, int32_t first_subject = 0,
                                  int32_t num_subjects = kSubjects) {
    std::vector<ToyToken> tokens;
    for (size_t i = 0; i < count; ++i) tokens.push_back(draw(first_subject, num_subjects));
    return tokens;
  }

  TokenEvidence evidence(const ToyToken& token) const {
    return {.hidden = token.hidden,
            .target = token.target,
            .log_sum_exp = token.log_sum_exp,
            .candidate_tokens = all_tokens_,
            .candidate_logits = token.logits};
  }
  std::vector<TokenEvidence> evidence(std::span<const ToyToken> tokens) const {
    std::vector<TokenEvidence> all;
    for (const ToyToken& token : tokens) all.push_back(evidence(token));
    return all;
  }

  double uniform() { return random_.uniform(count_++); }
  int32_t below(int32_t limit) { return static_cast<int32_t>(uniform() * limit); }

 private:
  double symmetric() { return 2 * uniform() - 1; }

  RandomStream random_{21};
  uint64_t count_ = 0;
  std::vector<float> head_ = std::vector<float>(kVocab * kHidden);
  std::vector<float> centres_ = std::vector<float>(kSubjects * kHidden);
  std::vector<int32_t> all_tokens_ = std::vector<int32_t>(kVocab);
  std::shared_ptr<const adapters::HeadFeatures> features_;
};

// Any output matrix will do.
class ToyRows final : public adapters::HeadRows {
 public:
  int32_t num_tokens() const override { return ToyModel::kVocab; }
  void read(int32_t token, std::span<float> row) const override {
    const RandomStream random(static_cast<uint64_t>(token));
    for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(random.uniform(i) - 0.5);
  }
};

}  // namespace ruvllm::sona
