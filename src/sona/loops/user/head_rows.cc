#include "sona/loops/user/head_rows.h"

#include <algorithm>
#include <utility>

#include "base/core/check.h"
#include "sona/instant/head/consolidation.h"

namespace ruvllm::sona {
namespace {

// Stands for what is not known of a weight: sources that know nothing are averaged.
constexpr double kPriorInformation = 1e-12;

std::vector<int32_t> all_tokens(std::span<const HeadRows> sources) {
  std::vector<int32_t> tokens;
  for (const HeadRows& source : sources) {
    tokens.insert(tokens.end(), source.tokens.begin(), source.tokens.end());
  }
  std::ranges::sort(tokens);
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

HeadRows empty_union(std::span<const HeadRows> sources) {
  RUVLLM_CHECK(!sources.empty());
  HeadRows rows;
  rows.width = sources.front().width;
  rows.tokens = all_tokens(sources);
  rows.weights.resize(rows.tokens.size() * rows.width);
  return rows;
}

}  // namespace

ptrdiff_t HeadRows::find(int32_t token) const {
  const auto found = std::ranges::lower_bound(tokens, token);
  return found == tokens.end() || *found != token ? -1 : found - tokens.begin();
}

HeadRows rows_of(const InstantLearner& learner) {
  const FastHeadLearner& head = learner.fast_head(0);
  HeadRows rows;
  rows.width = head.width();
  rows.weights.reserve(learner.rows().size() * rows.width);
  rows.fishers.reserve(learner.rows().size() * rows.width);
  for (const RowTable::Entry& entry : learner.rows()) {
    rows.tokens.push_back(entry.token);
    const std::span<const float> row = head.row(entry.slot);
    rows.weights.insert(rows.weights.end(), row.begin(), row.end());
    const std::span<const float> fisher = head.consolidation().fisher(entry.slot);
    rows.fishers.insert(rows.fishers.end(), fisher.begin(), fisher.end());
    rows.fishers.resize(rows.tokens.size() * rows.width);  // nothing is known of the others
  }
  return rows;
}

HeadRows rows_with_information(const InstantLearner& learner, int64_t num_tokens) {
  InstantLearner ended = learner;
  ended.end_task();
  HeadRows rows = rows_of(ended);
  for (float& fisher : rows.fishers) fisher *= static_cast<float>(num_tokens);
  return rows;
}

HeadRows average(std::span<const HeadRows> sources) {
  HeadRows mean = empty_union(sources);
  const float share = 1.0f / static_cast<float>(sources.size());
  for (const HeadRows& source : sources) {
    for (size_t r = 0; r < source.tokens.size(); ++r) {
      const size_t place = static_cast<size_t>(mean.find(source.tokens[r]));
      float* row = mean.weights.data() + place * mean.width;
      for (size_t i = 0; i < mean.width; ++i) row[i] += share * source.row(r)[i];
    }
  }
  return mean;
}

HeadRows fisher_merge(std::span<const HeadRows> sources) {
  HeadRows merged = empty_union(sources);
  std::vector<double> sums(merged.width), information(merged.width);
  for (size_t place = 0; place < merged.tokens.size(); ++place) {
    std::ranges::fill(sums, 0.0);
    std::ranges::fill(information, 0.0);
    for (const HeadRows& source : sources) {
      const ptrdiff_t found = source.find(merged.tokens[place]);
      if (found < 0) continue;
      const std::span<const float> row = source.row(static_cast<size_t>(found));
      const std::span<const float> fisher = source.fisher(static_cast<size_t>(found));
      for (size_t i = 0; i < merged.width; ++i) {
        const double known =
            kPriorInformation + (fisher.empty() ? 0.0 : static_cast<double>(fisher[i]));
        sums[i] += known * static_cast<double>(row[i]);
        information[i] += known;
      }
    }
    float* row = merged.weights.data() + place * merged.width;
    for (size_t i = 0; i < merged.width; ++i) {
      row[i] = static_cast<float>(sums[i] / information[i]);
    }
  }
  return merged;
}

HeadRows held_to(HeadRows rows, const HeadRows& anchor, double strength) {
  const HeadRows sources[] = {std::move(rows), anchor};
  HeadRows held = empty_union(sources);
  for (size_t place = 0; place < held.tokens.size(); ++place) {
    const std::span<float> row = std::span(held.weights).subspan(place * held.width, held.width);
    const ptrdiff_t own = sources[0].find(held.tokens[place]);
    const ptrdiff_t before = anchor.find(held.tokens[place]);
    const std::span<const float> start = own >= 0 ? sources[0].row(static_cast<size_t>(own))
                                                  : anchor.row(static_cast<size_t>(before));
    std::ranges::copy(start, row.begin());
    if (own < 0 || before < 0 || anchor.fishers.empty()) continue;
    proximal_step(row, anchor.row(static_cast<size_t>(before)),
                  anchor.fisher(static_cast<size_t>(before)), strength);
  }
  return held;
}

}  // namespace ruvllm::sona
