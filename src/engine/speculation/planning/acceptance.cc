#include "engine/speculation/planning/acceptance.h"

#include <algorithm>

#include "engine/speculation/ngram_index.h"

namespace ruvllm::engine {
namespace {

constexpr int32_t kLongestExact = 9;  // match lengths up to here have a kind each
constexpr std::array<int32_t, 3> kLengthLimits = {12, 16, 32};
static_assert(kNumLookupKinds == kLongestExact - NgramIndex::kMinMatch + 1 + 3 + 1);

}  // namespace

DraftKind lookup_kind(int32_t match_length) {
  if (match_length <= kLongestExact) return {match_length - NgramIndex::kMinMatch};
  const auto limit = std::ranges::lower_bound(kLengthLimits, match_length);
  return {kLongestExact - NgramIndex::kMinMatch + 1 +
          static_cast<int32_t>(limit - kLengthLimits.begin())};
}

DraftKind model_kind(int32_t num_drafts_before) { return {kNumLookupKinds + num_drafts_before}; }

double first_guess(DraftKind kind) {
  constexpr double kModel = 0.6;
  constexpr std::array<double, kNumLookupKinds> kLookup = {0.2, 0.35, 0.5,  0.6,  0.65, 0.7,
                                                           0.7, 0.75, 0.75, 0.75, 0.8,  0.8};
  return kind.idx < kNumLookupKinds ? kLookup[static_cast<size_t>(kind.idx)] : kModel;
}

void AcceptanceRates::observe(DraftKind kind, bool was_kept) {
  Count& count = counts_[static_cast<size_t>(kind.idx)];
  count.trials = count.trials * decay_ + 1.0f;
  count.kept = count.kept * decay_ + (was_kept ? 1.0f : 0.0f);
}

double AcceptanceRates::rate(DraftKind kind, double expected) const {
  constexpr double kWeight = 3.0;
  const Count& count = counts_[static_cast<size_t>(kind.idx)];
  return (static_cast<double>(count.kept) + kWeight * expected) /
         (static_cast<double>(count.trials) + kWeight);
}

}  // namespace ruvllm::engine
