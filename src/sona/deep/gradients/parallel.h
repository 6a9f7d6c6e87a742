// Loops over a thread team for the training passes, which are many separate loops, not one body
// with barriers: a training step takes seconds, a launch microseconds.
#pragma once

#include <cstdint>

#include "base/threads/thread_team.h"

namespace ruvllm::sona {

// body(begin, end, thread_idx) for pieces of [0, total) of at most `piece`; returns when all are
// done. Which thread has a piece is left open: results must not depend on it.
template <typename Body>
void for_pieces(ThreadTeam& team, int64_t total, int64_t piece, Body&& body) {
  team.run([&](ThreadTeam::Worker& worker) {
    worker.for_chunks(total, piece,
                      [&](int64_t begin, int64_t end) { body(begin, end, worker.index()); });
  });
}

}  // namespace ruvllm::sona
