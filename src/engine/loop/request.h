// A request before it is queued: checks, and room for all that it will need.
#pragma once

#include "base/core/error.h"
#include "engine/loop/options.h"
#include "engine/sequence.h"
#include "engine/speculation/speculator.h"
#include "model/config.h"

namespace ruvllm::engine {

Status check_request(const SequenceRequest& request, const model::ModelConfig& config,
                     const StepLoopOptions& options);

// Reserves everything that the sequence will ever need, on the submitter's thread, so that the
// engine's allocates nothing for it. `speculator` may be none.
void prepare_sequence(Sequence& sequence, const StepLoopOptions& options,
                      const Speculator* speculator);

}  // namespace ruvllm::engine
