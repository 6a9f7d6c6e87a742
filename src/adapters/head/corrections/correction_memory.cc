#include "adapters/head/corrections/correction_memory.h"

#include <algorithm>

namespace ruvllm::adapters {

float correction_gate(float similarity, float threshold) {
  if (!(similarity > threshold)) return 0;
  const float ramp = CorrectionMemory::kRamp * (1 - threshold);
  const float x = std::min((similarity - threshold) / ramp, 1.0f);
  return CorrectionMemory::kMaxGate * x * x * (3 - 2 * x);
}

}  // namespace ruvllm::adapters
