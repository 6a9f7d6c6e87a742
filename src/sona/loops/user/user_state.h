// All that a user's learning holds and that a generation can go back to. Copies are cheap: they
// share what neither has changed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "adapters/head/head_adapter.h"
#include "sona/instant/instant_learner.h"
#include "sona/loops/evidence/reservoir.h"
#include "sona/loops/user/copy_on_write.h"

namespace ruvllm::sona {

// A subject that was found: its own fast head.
struct Slot {
  uint64_t id = 0;
  CopyOnWrite<InstantLearner> learner;
  std::shared_ptr<const adapters::HeadAdapter> head;  // the learner's, as last published
  int64_t num_tokens = 0;
  int64_t num_unmerged_tokens = 0;  // since they were last consolidated
  int64_t last_used = 0;            // the sample's number
};

struct UserState {
  // Memory of positions and of corrections, whatever their subject; without fast heads.
  CopyOnWrite<InstantLearner> common;
  std::shared_ptr<const adapters::HeadAdapter> common_head;  // as last published
  // The head that the background loop makes of the slots; without rows until then.
  CopyOnWrite<InstantLearner> consolidated;
  std::shared_ptr<const adapters::HeadAdapter> consolidated_head;  // as last published
  std::vector<Slot> slots;
  Reservoir replay;
  Reservoir held_out;  // never learned from
};

}  // namespace ruvllm::sona
