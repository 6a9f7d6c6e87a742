// What every store says about a model in it.
#pragma once

#include <string>

#include <ruvllm/hub.h>

namespace ruvllm::hub {

struct KnownModel {
  StoredModel model;
  ModelReference reference;  // names it exactly, unlike what somebody typed
};

}  // namespace ruvllm::hub
