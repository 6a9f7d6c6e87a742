// From a checkpoint's tensor names to plans, by a family's rules. Internal to the import.
#pragma once

#include <cstdint>
#include <vector>

#include "base/core/error.h"
#include "formats/safetensors/safetensors.h"
#include "model/import/family.h"
#include "model/import/tensor_plan.h"

namespace ruvllm::model {

// Plans in the order of the model: embedding, layers, output. Refuses tensors that the family does
// not know, tensors that are missing, and shapes that cannot be.
Result<std::vector<TensorPlan>> match_tensors(const Family& family, const HfConfig& config,
                                              const formats::SafetensorsSet& weights);

}  // namespace ruvllm::model
