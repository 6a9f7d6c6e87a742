// What the model knew at the positions that a user's lesson is about.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/adapter.h"
#include "adapters/head/head_adapter.h"
#include "base/core/error.h"
#include "engine/step_loop.h"
#include "events/trace.h"
#include "sona/instant/token_evidence.h"

namespace ruvllm::api {

// Owns what its tokens point to.
struct Evidence {
  std::shared_ptr<const events::Trace> trace;
  std::vector<float> hidden;  // [tokens, hidden_dim]
  std::vector<sona::TokenEvidence> tokens;
  // Sums over the tokens, nats: of the model alone, and of what was served.
  double base_loss = 0;
  double served_loss = 0;
};

// Runs `ids` through the step loop beside other requests and gives evidence for those from
// `first_learned` on. Where they are too many for the context, the first ones are left out. `head`
// is what the user is served now: its rows' logits come with the evidence.
Result<Evidence> trace_evidence(engine::StepLoop& loop, int32_t hidden_dim,
                                std::span<const int32_t> ids, size_t first_learned,
                                std::shared_ptr<const adapters::HeadAdapter> head);

// The mean of the final hidden states over all positions of `ids` but the last.
Result<std::vector<float>> mean_hidden(engine::StepLoop& loop, int32_t hidden_dim,
                                       std::span<const int32_t> ids);

}  // namespace ruvllm::api
