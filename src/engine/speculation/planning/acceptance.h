// How often drafts were kept, by what is known of a draft beforehand: for a looked-up one, how long
// the match before it is; for a draft model's, how many drafts stand before it.
//
// The rates are exponentially weighted, so that they follow the text. Plain values.
#pragma once

#include <array>
#include <cstdint>

namespace ruvllm::engine {

inline constexpr int32_t kMaxDrafts = 15;  // of a sequence in a step

// A kind of draft: all of a kind share one rate.
struct DraftKind {
  int32_t idx = 0;
};
inline constexpr int32_t kNumLookupKinds = 12;
inline constexpr int32_t kNumDraftKinds = kNumLookupKinds + kMaxDrafts;

// match_length >= NgramIndex::kMinMatch: of all tokens before the draft, earlier drafts included,
// which are kept if it counts at all.
DraftKind lookup_kind(int32_t match_length);
DraftKind model_kind(int32_t num_drafts_before);

// Before anything was seen.
double first_guess(DraftKind kind);

class AcceptanceRates {
 public:
  // Trials older than about `memory` do not count any more.
  explicit AcceptanceRates(float memory) : decay_(1.0f - 1.0f / memory) {}

  void observe(DraftKind kind, bool was_kept);
  // `expected` counts as much as a few trials.
  double rate(DraftKind kind, double expected) const;

 private:
  struct Count {
    float trials = 0.0f;
    float kept = 0.0f;
  };
  float decay_;
  std::array<Count, kNumDraftKinds> counts_{};
};

}  // namespace ruvllm::engine
