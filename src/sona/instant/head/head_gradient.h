// The exact loss and gradient of one token under a fast head, from what decoding has computed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sona/instant/head/row_table.h"
#include "sona/instant/token_evidence.h"

namespace ruvllm::sona {

// With p' the distribution of the logits z + d, d_i = B_i . phi for tokens with rows:
// loss = -log p'(target) and d loss / d B_i = r_i phi, r_i = p'_i - [i = target].
struct RowResidual {
  int32_t slot;
  double probability;  // p'_i
  double residual;     // r_i
};

struct HeadGradient {
  double base_loss = 0;  // -log p_0(target), nats
  double loss = 0;
  std::vector<RowResidual> rows;  // of the rows whose base logit is known; the target's is first
};

// entries: the rows, by token; shifts [by slot]: d. The target has a row, and its logit is among
// the candidates. The sum over the vocabulary is exact: 1 + sum over rows of p_0(i) (e^d_i - 1)
// times the base's.
void head_gradient(const TokenEvidence& token, std::span<const RowTable::Entry> entries,
                   std::span<const float> shifts, HeadGradient& gradient);

// Moves the `count` most probable rows behind the first one to the front and returns how many rows
// are kept; the rest of the gradient is negligible.
size_t keep_most_probable(HeadGradient& gradient, size_t count);

}  // namespace ruvllm::sona
