// What one piece of feedback or text teaches, with all that learning needs of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sona/instant/token_evidence.h"

namespace ruvllm::sona {

// TokenEvidence that owns what it points to.
struct OwnedEvidence {
  std::vector<float> hidden;  // [hidden_dim]
  int32_t target = 0;
  double log_sum_exp = 0;
  std::vector<int32_t> candidate_tokens;  // ascending
  std::vector<float> candidate_logits;
  double weight = 1;

  TokenEvidence view() const {
    return {.hidden = hidden,
            .target = target,
            .log_sum_exp = log_sum_exp,
            .candidate_tokens = candidate_tokens,
            .candidate_logits = candidate_logits,
            .weight = weight};
  }
};

inline std::vector<TokenEvidence> views(const std::vector<OwnedEvidence>& tokens) {
  std::vector<TokenEvidence> all;
  all.reserve(tokens.size());
  for (const OwnedEvidence& token : tokens) all.push_back(token.view());
  return all;
}

enum class SampleKind : uint8_t { kText, kCorrection, kRating, kPreference };

struct Sample {
  std::string response_id;
  SampleKind kind = SampleKind::kText;
  // How far the sample is to be trusted, 0 to 1. A thumb down that its giver means is of quality 1
  // and not desirable: what was bad is worth learning.
  double quality = 1;
  bool is_desirable = true;             // of a rating
  std::vector<OwnedEvidence> tokens;    // of the text, the correction, the rated or chosen response
  std::vector<OwnedEvidence> rejected;  // of a preference
  int64_t feedback_id = 0;
};

// Samples are kept by several places at once: reservoirs of generations, mainly.
using SharedSample = std::shared_ptr<const Sample>;

}  // namespace ruvllm::sona
