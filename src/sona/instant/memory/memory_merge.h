// Fewer states that say nearly the same: the states of one token that are most alike become their
// mean, which has the mass of all of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "sona/instant/memory/memory_lists.h"

namespace ruvllm::sona {

// Merges until at most `goal` states are left, the most alike first, in rounds of falling
// likeness. Where there are more tokens than that, the states of least mass are dropped, the oldest
// first; returns how many. The result is in the order of tokens, then of time. Deterministic.
size_t merge_states(const kernels::KernelTable& kernels, int32_t padded_dim, size_t goal,
                    MemoryStates& states);

}  // namespace ruvllm::sona
