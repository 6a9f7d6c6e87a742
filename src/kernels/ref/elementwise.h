// Float64 definitions of the row operations (cpu/elementwise.h), for tests: obvious loops, no
// tricks.
#pragma once

#include <cstdint>
#include <vector>

namespace ruvllm::kernels::ref {

std::vector<double> rms_norm(const std::vector<float>& x, const std::vector<float>& weight,
                             float eps);
std::vector<double> layer_norm(const std::vector<float>& x, const std::vector<float>& weight,
                               const std::vector<float>& bias, float eps);
std::vector<double> swiglu(const std::vector<float>& gate, const std::vector<float>& up);
std::vector<double> geglu_tanh(const std::vector<float>& gate, const std::vector<float>& up);
double gelu(float x);
double soft_cap(float x, float cap);
// cos and sin hold rope_dim / 2 values each; x holds whole heads.
std::vector<double> rope(const std::vector<float>& x, const std::vector<float>& cos,
                         const std::vector<float>& sin, bool interleaved, int32_t head_dim);

// One group: scale = amax / 127, values = x * 127 / amax before rounding; zeros where amax is 0.
struct QuantizedGroup {
  double scale = 0.0;
  std::vector<double> values;
};
QuantizedGroup quantize_group(const float* x, int32_t n, double limit = 127.0);

double sum_exp(const std::vector<float>& x, float max);

}  // namespace ruvllm::kernels::ref
