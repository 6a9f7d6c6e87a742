// What a request's end leaves for those who learn from it.
#pragma once

#include "engine/sequence.h"

namespace ruvllm::engine {

// Fills in the sequence's trajectory, if it has one, with its tokens, which it loses, and pushes
// it. Allocates nothing.
void push_trajectory(Sequence& sequence);

}  // namespace ruvllm::engine
