// Float64 softmax attention over paged keys and values (cpu/attention.h), for tests.
#pragma once

#include <vector>

#include "kernels/cpu/attention.h"

namespace ruvllm::kernels::ref {

struct AttentionRow {
  std::vector<double> output;        // [head_dim]
  std::vector<double> abs_weighted;  // sum over keys of P * |V|, for error bounds
  double max_score_terms = 0.0;      // largest over keys of sum over d of |q * scale * k|
  double score_range = 0.0;          // largest score minus smallest, the sink among them
};

// Row `row` of the call; dst and scratch are not used.
AttentionRow attention_row(const AttentionArgs& args, int row);

}  // namespace ruvllm::kernels::ref
