// Fast heads as plain rows, and the ways to make one of several. A head is the full product of its
// rows and the feature, so that means of rows are means of products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sona/instant/instant_learner.h"

namespace ruvllm::sona {

struct HeadRows {
  size_t width = 0;
  std::vector<int32_t> tokens;  // ascending
  std::vector<float> weights;   // [tokens, width]
  std::vector<float> fishers;   // [tokens, width], or empty

  std::span<const float> row(size_t index) const {
    return std::span(weights).subspan(index * width, width);
  }
  std::span<const float> fisher(size_t index) const {
    if (fishers.empty()) return {};
    return std::span(fishers).subspan(index * width, width);
  }
  // None for a token without a row: -1.
  ptrdiff_t find(int32_t token) const;
};

// The first fast head of a learner, with the information about its ended tasks.
HeadRows rows_of(const InstantLearner& learner);
// The same where the current task ends now and has had so many tokens: the information is that of
// all of them, not of one on average.
HeadRows rows_with_information(const InstantLearner& learner, int64_t num_tokens);

// Mean of the products: a token without a row counts as zeros. At least one source.
HeadRows average(std::span<const HeadRows> sources);
// Each weight is the mean weighted by Fisher information of the sources that have the row: where
// the posteriors' product has its mode. At least one source.
HeadRows fisher_merge(std::span<const HeadRows> sources);
// Pulls rows towards those of `anchor` by its information (proximal_step); rows that only the
// anchor has are taken over.
HeadRows held_to(HeadRows rows, const HeadRows& anchor, double strength);

}  // namespace ruvllm::sona
