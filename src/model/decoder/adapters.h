// Where the sequences' LoRA adapters join the forward pass.
#pragma once

#include <cstdint>
#include <span>

#include "base/threads/thread_team.h"
#include "model/decoder/pass_context.h"
#include "ops/activations.h"
#include "ops/linear.h"
#include "ops/views.h"

namespace ruvllm::model {

// Products of a layer that share their input, in the order of the pass.
enum class ProductGroup : uint8_t { kQkv, kAttnOutput, kGateUp, kDown };

// ops::run_linear for the products of a group, with what the sequences' adapters add to them.
// Without adapters in the step it is just that; with them a barrier lies within. A barrier must
// follow.
void run_products(const PassContext& c, ThreadTeam::Worker& worker, const ops::BatchView& batch,
                  int32_t layer_idx, ProductGroup group, std::span<const ops::LinearCall> calls,
                  const ops::ActivationBuffer& input) noexcept;

}  // namespace ruvllm::model
