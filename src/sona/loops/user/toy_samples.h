// Samples of the toy model for tests.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "sona/instant/toy_model.h"
#include "sona/loops/evidence/sample.h"
#include "sona/loops/user/user_options.h"

namespace ruvllm::sona {

inline OwnedEvidence owned(const TokenEvidence& token) {
  return {.hidden = {token.hidden.begin(), token.hidden.end()},
          .target = token.target,
          .log_sum_exp = token.log_sum_exp,
          .candidate_tokens = {token.candidate_tokens.begin(), token.candidate_tokens.end()},
          .candidate_logits = {token.candidate_logits.begin(), token.candidate_logits.end()},
          .weight = token.weight};
}

inline std::vector<OwnedEvidence> owned(const ToyModel& model, std::span<const ToyToken> tokens) {
  std::vector<OwnedEvidence> all;
  for (const TokenEvidence& token : model.evidence(tokens)) all.push_back(owned(token));
  return all;
}

inline SharedSample toy_sample(const ToyModel& model, std::span<const ToyToken> tokens,
                               SampleKind kind = SampleKind::kText, double quality = 1) {
  auto sample = std::make_shared<Sample>();
  sample->kind = kind;
  sample->quality = quality;
  sample->tokens = owned(model, tokens);
  return sample;
}

inline UserLearnerOptions toy_options() {
  UserLearnerOptions options;
  options.vocab_size = ToyModel::kVocab;
  options.instant.max_rows = ToyModel::kVocab;
  options.slot_rows = ToyModel::kVocab;
  options.consolidated_rows = ToyModel::kVocab;
  options.held_out_every = 0;
  options.slot_maturity_tokens = 128;
  return options;
}

}  // namespace ruvllm::sona
