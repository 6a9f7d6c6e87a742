// A request before it is queued: checks, and room for all that it will need.
#pragma once

#include <cstdint>

#include "base/core/error.h"
#include "engine/loop/options.h"
#include "engine/sequence.h"
#include "engine/speculation/speculator.h"
#include "kernels/cpu/kernel_table.h"
#include "model/config.h"

namespace ruvllm::engine {

inline constexpr uint32_t kMaxChoices = 128;

Status check_request(const SequenceRequest& request, uint32_t num_choices,
                     const model::ModelConfig& config, const StepLoopOptions& options);

uint64_t fresh_seed();

// Another choice of a request's has its trace and its trajectory.
void forget_records(SequenceRequest& request);

// Reserves everything that the sequence will ever need, on the submitter's thread, so that the
// engine's allocates nothing for it. Its seed is chosen. `speculator` may be none.
void prepare_sequence(Sequence& sequence, const model::ModelConfig& config,
                      const kernels::KernelTable& kernels, const StepLoopOptions& options,
                      const Speculator* speculator);

}  // namespace ruvllm::engine
