// The feed-forward block, gated or not, or the mixture of experts in its place.
#pragma once

#include <cstdint>

#include "base/threads/thread_team.h"
#include "model/decoder/pass_context.h"
#include "ops/views.h"

namespace ruvllm::model {

// Adds the attention's output to the residual stream and leaves the block's own in workspace.delta;
// every thread of the team calls it. A barrier must follow.
void run_feed_forward_block(const PassContext& c, ThreadTeam::Worker& worker,
                            const ops::BatchView& batch, int32_t layer_idx) noexcept;

}  // namespace ruvllm::model
