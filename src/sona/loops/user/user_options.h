// Settings of one owner's learning.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sona/instant/instant_learner.h"
#include "sona/loops/gate/gate.h"
#include <ruvllm/learning/sona_config.h>

namespace ruvllm::sona {

struct UserLearnerOptions {
  SonaConfig config = {};
  int32_t vocab_size = 0;  // of the model: evidence with other tokens is refused
  // fast_heads[0] is what every slot learns with; its rate holds for instant_lr 0.01.
  InstantOptions instant = {};

  int32_t max_slots = 4;
  // The most recently used are served, as far as the mixture has room.
  int32_t max_served_slots = 3;
  int32_t slot_rows = 512;
  int32_t consolidated_rows = 512;
  // A slot takes a sample on which it is better than the base by slot_margin nats; a slot younger
  // than slot_maturity_tokens may be worse by as much at first.
  double slot_margin = 4;
  int64_t slot_maturity_tokens = 256;

  // Every n-th text sample is never learned from.
  int32_t held_out_every = 16;
  size_t max_held_out_samples = 64;
  size_t max_replay_samples = 64;
  GateOptions gate = {};

  // Live loss above the base's in its worst recent run, nats, that sends a generation back to its
  // parent.
  double max_live_harm = 16;
  // A parent is kept each time so many tokens were learned without harm.
  int64_t checkpoint_tokens = 4096;
  size_t max_checkpoints = 2;
};

}  // namespace ruvllm::sona
