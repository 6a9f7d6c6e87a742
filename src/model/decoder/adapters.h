// Where the sequences' LoRA adapters join the forward pass.
#pragma once

#include <cstdint>
#include <span>

#include "base/threads/thread_team.h"
#include "model/decoder/pass_context.h"
#include "ops/activations.h"
#include "ops/lora.h"
#include "ops/views.h"

namespace ruvllm::model {

// Adds to products that have just been computed from `input`. Costs nothing in a step whose
// sequences have no adapters; otherwise passes barriers, and none stands at its end.
void add_adapters(const PassContext& c, ThreadTeam::Worker& worker, const ops::BatchView& batch,
                  int32_t layer_idx, std::span<const ops::LoraCall> calls,
                  const ops::ActivationBuffer& input, int32_t in_dim) noexcept;

}  // namespace ruvllm::model
