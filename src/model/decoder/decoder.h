// The one decoder: embedding, layers of an attention and a feed-forward block with residual
// connections, and the logits, all driven by the config.
#pragma once

#include <cstdint>
#include <span>

#include "base/threads/thread_team.h"
#include "model/decoder/narrowed_batch.h"
#include "model/decoder/pass_context.h"
#include "ops/views.h"

namespace ruvllm::model {

// One step's pass over the team; every thread of the team calls the same functions. Neither ends
// with a barrier: ThreadTeam::run() does.

// Embeds the batch's tokens and runs all layers: workspace.residual + workspace.delta become the
// last layer's output, and the cache gets the rows' keys and values. With `narrowed` the output is
// that of its rows alone, in their order.
void run_layers(const PassContext& c, ThreadTeam::Worker& worker, const ops::BatchView& batch,
                const NarrowedBatch* narrowed) noexcept;

// workspace.residual of `rows` becomes their final state: the last layer's output, normed where the
// family norms it. Once for each row of a step.
void run_final_states(const PassContext& c, ThreadTeam::Worker& worker,
                      std::span<const int32_t> rows) noexcept;

// For models with an output. workspace.logits[i] = logits of row rows[i] of the last run_layers.
// May be called again for other rows.
void run_logits(const PassContext& c, ThreadTeam::Worker& worker,
                std::span<const int32_t> rows) noexcept;

}  // namespace ruvllm::model
