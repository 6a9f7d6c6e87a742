// The tensors of a shape in file order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/models/quantize/mixture.h"
#include "api/models/synth/shapes.h"
#include "tensor/dtype.h"

namespace ruvllm::api {

enum class TensorFill : uint8_t { kRandom, kOnes, kRopeFactors };

struct PlannedTensor {
  std::string name;
  DType dtype;
  std::vector<uint64_t> dims;  // dims[0] is the row length
  TensorFill fill;
  uint64_t num_bytes;
};

// Norms, biases and rotary factors are F32, matrices follow the mixture.
std::vector<PlannedTensor> plan_tensors(const SynthShape& shape, const FileType& type);

// Divisors of the rotary frequencies, [head_dim / 2]: Llama 3.1's rule for contexts beyond the 8192
// tokens of its first training (https://arxiv.org/abs/2407.21783, constants of its config.json).
std::vector<float> llama3_rope_factors(const SynthShape& shape);

}  // namespace ruvllm::api
