// Losses of head adapters on recorded evidence, by the evaluator that serves them.
//
// Of a position only the candidates' logits are known. Tokens without one count as impossible to
// the base there, so that experts leave them alone: exact for the experts whose rows the evidence
// covers, near to it for others (what is left out is improbable).
//
// A workspace: not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "adapters/head/evaluator.h"
#include "kernels/cpu/kernel_table.h"
#include "sona/instant/token_evidence.h"

namespace ruvllm::sona {

class EvidenceScorer {
 public:
  EvidenceScorer(const kernels::KernelTable& kernels, int32_t hidden_dim, int32_t vocab_size);

  // Tokens are consistent (is_consistent) and below vocab_size, as are the adapter's.
  //
  // Sum of log p_mixture - log p_0 of the targets in one conversation; appended token by token to
  // `by_token` where that is given.
  double mixture(const adapters::HeadAdapter& adapter, std::span<const TokenEvidence> tokens,
                 std::vector<double>* by_token = nullptr);
  // Sum of log (p_k + p_0) / 2 p_0: one expert, evenly mixed with the base at every token, so that
  // a young expert's overconfidence about a few tokens does not hide what it knows of the others.
  double expert(const adapters::HeadAdapter& adapter, size_t expert,
                std::span<const TokenEvidence> tokens);

 private:
  // false: the adapter adds nothing there.
  bool evaluate(const adapters::HeadAdapter& adapter, const TokenEvidence& token);

  adapters::HeadEvaluator evaluator_;
  std::vector<float> logits_;  // [vocab]: -inf but while a token is evaluated
  std::vector<double> ratio_;
};

}  // namespace ruvllm::sona
