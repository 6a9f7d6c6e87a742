// Where the drafts of a step loop come from.
#pragma once

#include <cstdint>

#include "model/model.h"

namespace ruvllm::engine {

struct SpeculationOptions {
  bool lookup = false;
  const model::Model* draft_model = nullptr;  // with the vocabulary of the large one; outlives all
  // Draft so many whatever it costs, for tests and measurements; 0: as many as pay.
  int32_t always_drafts = 0;

  bool is_on() const { return lookup || draft_model != nullptr; }
};

}  // namespace ruvllm::engine
