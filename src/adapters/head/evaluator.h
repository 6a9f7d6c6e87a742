// Evaluates a head adapter on one row of logits.
//
// Every expert differs from the base by one factor outside a sparse set S of tokens (those with
// rows and those of the nearest remembered states): p_k(i) = c_k p_0(i) for i not in S, and p_k(i)
// = q_k(i) p_0(i) in S. A fast head has c = 1 / (1 + sum over its rows of p_0(i) (e^d_i - 1)),
// which is exact with the work of |S| however large the vocabulary, and q(i) = c e^d_i. The mixture
// of weights w is then, again exactly, base logits z_i outside S and
//   z_i + log(sum_k w_k q_k(i) / sum_k w_k c_k)
// in S, so that a sampler needs nothing new. Corrections with gate g, trust w and distribution r(i)
// p_0(i), which is 0 outside S, turn that into
//   z_i + log(((1 - w g) sum_k w_k q_k(i) + w g r(i)) / ((1 - w g) sum_k w_k c_k)).
// Rows with z_i = -inf stay as they are.
//
// A workspace: one a thread, not thread-safe. Allocates only where reserve() was not called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "adapters/head/corrections/correction_reader.h"
#include "adapters/head/expert_weights.h"
#include "adapters/head/head_adapter.h"
#include "adapters/head/memory.h"
#include "adapters/head/row_products.h"
#include "kernels/cpu/kernel_table.h"

namespace ruvllm::adapters {

class HeadEvaluator {
 public:
  // States of the memory whose tokens become candidates.
  static constexpr int32_t kNearest = 256;
  // States with less than e^-8 of the nearest one's weight do not.
  static constexpr float kWindow = 8;

  HeadEvaluator(const kernels::KernelTable& kernels, int32_t hidden_dim,
                int32_t max_memory_reads = MemorySearch::kDefaultReads);

  void reserve(const HeadAdapter& adapter);

  // hidden [hidden_dim]: the final state after the last norm; logits [vocab_size]: the base's for
  // it; log_sum_exp of them. Tokens of the adapter are below vocab_size. Results are kept for the
  // functions below, which take the same logits. false: there is nothing to add (an empty adapter,
  // or a hidden state or logits that are not finite); S is empty then.
  bool evaluate(const HeadAdapter& adapter, std::span<const float> hidden,
                std::span<const float> logits, double log_sum_exp);

  // S, ascending.
  std::span<const int32_t> candidates() const { return candidates_; }
  size_t num_experts() const { return num_experts_; }
  // p_k(token) / p_0(token) for every expert k, [num_experts]; what ExpertWeights::update takes.
  void ratios(int32_t token, std::span<double> ratio) const;
  // What the corrections say of it; silent (gate 0) without corrections.
  CorrectionSays correction(int32_t token) const;
  // The weights after this token came: ExpertWeights::update with all that is known of it.
  double update(ExpertWeights& weights, int32_t token) const;
  // Logits of the mixture in place, |S| of them.
  void adjust(const ExpertWeights& weights, std::span<float> logits) const;

 private:
  struct Near {
    int32_t token;
    float similarity;
    float mass;
  };
  void select_near(const HeadAdapter& adapter, const MemoryMatches& matches);
  void collect_candidates(const HeadAdapter& adapter);
  void add_shifted(size_t expert);
  void add_fast_head(const FastHeadRows& head, size_t expert);
  void add_hidden_space(const HiddenSpaceAdapter& hidden, size_t expert);
  void add_memory(const MemoryExpert& memory, const MemoryMatches& matches, size_t expert);
  void add_corrections();

  RowProducts products_;
  MemorySearch search_;
  CorrectionReader corrections_;
  size_t num_experts_ = 1;
  std::vector<float> unit_;             // [padded_dim]
  std::vector<Near> near_;              // by token
  float highest_ = 0;                   // similarity of the nearest state
  std::vector<int32_t> extra_;          // tokens of near states and corrections, ascending
  std::vector<int32_t> candidates_;     // S
  std::vector<size_t> row_candidates_;  // [num_rows]: where a row's token lies in S
  std::vector<double> base_;            // [|S|]: p_0
  std::vector<double> ratio_;           // [num_experts, |S|]: q_k
  std::vector<double> tail_;            // [num_experts]: c_k
  std::vector<float> shifts_;           // [num_rows]: d
  std::vector<float> features_;         // [rank] of a hidden space
  double gate_ = 0;                     // g
  std::vector<double> corrected_;       // [|S|] where g > 0: r
};

}  // namespace ruvllm::adapters
