// What a user's conversations add to the model's head: experts beside the base distribution.
//
// Expert 0 is the base, p_0 = softmax(z). A fast head adds d_i = B_i . phi(h) to the logits of the
// tokens that have a row; the memory gives
//   p(i) = share * sum over near states s of token i of exp(t a_s) / A + (1 - share * near / A)
//   p_0(i)
// where a_s is the cosine of the query and state s, t the temperature's inverse, A the sum over all
// states and near that over the nearest: what is far away is left to the base. A hidden-space
// adapter moves the logits of the tokens with a row by a change of the hidden state. Corrections
// are no expert but speak above the mixture (corrections/correction_memory.h).
//
// Immutable and shared: a sequence pins its generation, whatever is published meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "adapters/head/corrections/correction_memory.h"
#include "adapters/head/features.h"
#include "adapters/head/hidden_space/hidden_space.h"
#include "adapters/head/memory.h"
#include "tensor/blocks.h"

namespace ruvllm::adapters {

// Rows of one fast head in the order of HeadAdapter::row_tokens.
struct FastHeadRows {
  std::vector<BlockQ8_0> rows;  // [num_rows, padded_dim / 32]: weights of u(h)
  std::vector<float> biases;    // [num_rows]: weight of phi's constant, which is 0.5
};

struct MemoryExpert {
  float sharpness = 20;  // t
  float share = 0.95f;
};

struct HeadAdapter {
  uint64_t generation = 0;
  std::shared_ptr<const HeadFeatures> features;
  std::vector<int32_t> row_tokens;  // ascending
  std::vector<FastHeadRows> fast_heads;
  MemoryView memory;
  std::vector<MemoryExpert> memory_experts;
  std::vector<HiddenSpaceAdapter> hidden_spaces;
  // No null pointers. More than one where an owner has several learners.
  std::vector<std::shared_ptr<const CorrectionMemory>> corrections;
  // [num_experts]: base, fast heads, memory experts, hidden spaces; positive. Where a
  // conversation's ExpertWeights start.
  std::vector<double> prior;

  size_t num_experts() const {
    return 1 + fast_heads.size() + memory_experts.size() + hidden_spaces.size();
  }
  // It leaves all logits as they are.
  bool empty() const { return row_tokens.empty() && memory.empty() && corrections.empty(); }
};

}  // namespace ruvllm::adapters
