// The shape of a model as adapters see it.
#pragma once

#include "adapters/adapter.h"
#include "model/config.h"

namespace ruvllm::api {

adapters::BaseShape base_shape(const model::ModelConfig& config);

}  // namespace ruvllm::api
