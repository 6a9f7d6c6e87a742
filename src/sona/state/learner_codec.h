// Everything an InstantLearner holds as blobs, and back: what is decoded publishes the same bits
// and learns on with the same bits.
//
//   features        mean hidden state and the fingerprint of its model
//   options         InstantOptions
//   learner         generation, KTO's reference
//   rows            tokens of rows and when they were last targets
//   fast_head/K     float master weights, harm meter, EWC's Fisher information and anchors
//   hidden_space/K  float master weights and harm meter
//   corrections     states of corrections
//   memory          how many segments and chunks there are
//   memory/S        sealed segments
//   memory/chunk/C  states that are not sealed yet; all full but the last
// What is added to the learner gets a role of its own, in InstantLearner::exchange_parts.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "adapters/head/features.h"
#include "adapters/head/hidden_space/hidden_space.h"
#include "base/core/error.h"
#include "kernels/cpu/kernel_table.h"
#include "sona/instant/instant_learner.h"
#include "sona/state/state_blobs.h"

namespace ruvllm::sona {

// Adds the learner's blobs; roles begin with `prefix`. On the learner's thread. `model`: the
// fingerprint of the model whose hidden states it has seen. `known` may be null.
void encode_learner(const InstantLearner& learner, std::string_view model, std::string_view prefix,
                    const KnownBlobs* known, StateBlobs& blobs);

struct LearnerContext {
  const kernels::KernelTable& kernels;  // outlives the learner
  std::string_view model;
  int32_t vocab_size = 0;
  // Shared with the learner if the state has the same mean, bit for bit; may be null.
  std::shared_ptr<const adapters::HeadFeatures> features = nullptr;
  // Needed by hidden spaces: without it the learner comes back without them.
  std::shared_ptr<const adapters::HeadRows> head_rows = nullptr;
};

// kInvalidArgument: the state of another model. kCorrupt and kUnsupported name role, field and
// place. `known` (may be null) learns which parts the store has if the blobs came from
// load_state().
Result<std::unique_ptr<InstantLearner>> decode_learner(const StateBlobs& blobs,
                                                       std::string_view prefix,
                                                       const LearnerContext& context,
                                                       KnownBlobs* known = nullptr);

}  // namespace ruvllm::sona
