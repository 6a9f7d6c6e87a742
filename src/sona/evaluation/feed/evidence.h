// What a served answer's trace would hold of a chunk's positions, as a learner takes it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sona/evaluation/feed/text_feed.h"
#include "sona/instant/token_evidence.h"

namespace ruvllm::sona {

// Owns the candidates of its tokens; their hidden states stay where they are.
class EvidenceBatch {
 public:
  // For each position: the target taught, the most probable tokens and `row_tokens`, ascending.
  // `hidden` [positions, hidden_dim] and `targets` are the chunk's own or a control's.
  void build(const FeedChunk& chunk, std::span<const float> hidden,
             std::span<const int32_t> targets, std::span<const int32_t> row_tokens);
  std::span<const TokenEvidence> tokens() const { return evidence_; }

 private:
  std::vector<int32_t> tokens_;
  std::vector<float> logits_;
  std::vector<TokenEvidence> evidence_;
};

// Evidence that outlives its chunk, for replay.
struct KeptEvidence {
  std::vector<float> hidden;
  std::vector<int32_t> tokens;
  std::vector<float> logits;
  int32_t target = 0;
  double log_sum_exp = 0;

  static KeptEvidence copy_of(const TokenEvidence& token);
  TokenEvidence view() const;
};

}  // namespace ruvllm::sona
