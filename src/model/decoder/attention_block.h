// Attention with rotary embedding over the paged cache.
#pragma once

#include <cstdint>

#include "base/threads/thread_team.h"
#include "model/decoder/pass_context.h"
#include "ops/views.h"

namespace ruvllm::model {

// The block in two halves, which every thread of the team calls in turn.

// Adds the layer before's output to the residual stream, leaves the rows' queries in workspace.q
// and puts their keys and values into the cache. Ends with a barrier.
void run_attention_inputs(const PassContext& c, ThreadTeam::Worker& worker,
                          const ops::BatchView& batch, int32_t layer_idx) noexcept;

// Leaves the block's output in workspace.delta. A barrier must follow.
void run_attention_outputs(const PassContext& c, ThreadTeam::Worker& worker,
                           const ops::BatchView& batch, int32_t layer_idx) noexcept;

}  // namespace ruvllm::model
