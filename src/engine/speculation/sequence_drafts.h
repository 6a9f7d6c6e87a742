// What speculation keeps of one sequence.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "cache/sequence_pages.h"
#include "engine/speculation/ngram_index.h"
#include "engine/speculation/planning/acceptance.h"

namespace ruvllm::engine {

// Keys and values that the draft model has of a sequence's tokens [0, num_computed).
struct DraftCache {
  cache::SequencePages pages;
  int32_t num_computed = 0;
};

struct SequenceDrafts {
  std::optional<NgramIndex> lookup;
  bool model_may_draft = false;  // there is a draft model and it knows all tokens so far
  DraftCache cache;
  AcceptanceRates rates{12.0f};

  // Guesses of the tokens to come, for the step at hand.
  std::array<int32_t, kMaxDrafts> ids{};
  int32_t num_drafts = 0;
  bool by_model = false;

  std::span<const int32_t> drafts() const {
    return std::span(ids).first(static_cast<size_t>(num_drafts));
  }
};

}  // namespace ruvllm::engine
