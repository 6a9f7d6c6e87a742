// How many drafts each decoding sequence gets in the next step: a pure function of what drafts are
// expected to bring and of what rows cost.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/scheduling/step_cost.h"
#include "engine/speculation/planning/acceptance.h"

namespace ruvllm::engine {

// Of all sequences in a step together: beyond, rows cost what they would cost in a prompt.
inline constexpr int32_t kMaxDraftRows = 64;

// What one decoding sequence could have beside its own row.
struct DraftOption {
  int32_t max_drafts = 0;  // at most kMaxDrafts
  // A draft model makes them, one pass after another; else they are there already.
  bool by_model = false;
  // What the draft model must compute before it can begin, as a share of this step; microseconds.
  double catch_up_us = 0.0;
  // [max_drafts]: the probability that drafts 0 to i are all kept; falling.
  std::array<float, kMaxDrafts> survival = {};
};

struct DraftPlan {
  double tokens_per_us = 0.0;  // expected, of all sequences together
  int32_t num_rows = 0;        // of drafts, all sequences
};

// The time that plain decoding of a draft model's passes takes: pass p has passes[p] rows.
// Writes num_drafts, [options]. The number of all drafts is at most max_rows and kMaxDraftRows.
// `verify` knows decodes. Nobody drafts unless that makes at least 2 % more tokens in a time.
DraftPlan plan_drafts(std::span<const DraftOption> options, int32_t max_rows,
                      const StepCost& verify, const StepCost& draft, std::span<int32_t> num_drafts);

// What `num_drafts` of one option cost on top of a step without any draft, not shared out.
double extra_cost_us(int32_t num_options, int32_t num_drafts, bool by_model, const StepCost& verify,
                     const StepCost& draft);

}  // namespace ruvllm::engine
