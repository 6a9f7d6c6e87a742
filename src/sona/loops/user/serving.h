// One head adapter out of several learners' heads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "adapters/head/head_adapter.h"

namespace ruvllm::sona {

// Memory, corrections and hidden spaces of `common`; the first fast head of each of `heads` as an
// expert over the union of their rows (zeros where a head has no row of a token). The base keeps
// common's prior; each fast head gets an equal share of the rest, as common's experts do among
// themselves.
std::shared_ptr<const adapters::HeadAdapter> join_heads(
    const adapters::HeadAdapter& common,
    std::span<const std::shared_ptr<const adapters::HeadAdapter>> heads, uint64_t generation);

}  // namespace ruvllm::sona
