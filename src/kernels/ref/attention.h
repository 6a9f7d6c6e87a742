// Float64 softmax attention over paged keys and values (cpu/attention.h), for tests.
#pragma once

#include <vector>

#include "kernels/cpu/attention.h"

namespace ruvllm::kernels::ref {

struct AttentionRow {
  std::vector<double> output;  // [head_dim]
  // For error bounds, where |k| and |V| of the store are |level * scale| + |minimum|:
  std::vector<double> abs_weighted;  // sum over keys of P * |V|
  double max_score_terms = 0.0;      // largest over keys of sum over d of |q * scale * k|
  // What factors of 15 bits (cpu/attention/stored-inl.h) may do: to a score, and to the output
  // given the weights.
  double max_score_error = 0.0;
  std::vector<double> value_error;
  double score_range = 0.0;  // largest score minus smallest, the sink among them
};

// Row `row` of the call; dst and scratch are not used.
AttentionRow attention_row(const AttentionArgs& args, int row);

}  // namespace ruvllm::kernels::ref
