#include "kernels/ref/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace ruvllm::kernels::ref {

std::vector<double> rms_norm(const std::vector<float>& x, const std::vector<float>& weight,
                             float eps) {
  double sum = 0.0;
  for (const float value : x) sum += static_cast<double>(value) * static_cast<double>(value);
  const double root = std::sqrt(sum / static_cast<double>(x.size()) + static_cast<double>(eps));
  std::vector<double> result(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    result[i] = static_cast<double>(x[i]) / root * static_cast<double>(weight[i]);
  }
  return result;
}

std::vector<double> layer_norm(const std::vector<float>& x, const std::vector<float>& weight,
                               const std::vector<float>& bias, float eps) {
  const double n = static_cast<double>(x.size());
  double mean = 0.0, variance = 0.0;
  for (const float value : x) mean += static_cast<double>(value) / n;
  for (const float value : x) variance += std::pow(static_cast<double>(value) - mean, 2.0) / n;
  const double root = std::sqrt(variance + static_cast<double>(eps));
  std::vector<double> result(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double normed = (static_cast<double>(x[i]) - mean) / root;
    result[i] = normed * static_cast<double>(weight[i]) + static_cast<double>(bias[i]);
  }
  return result;
}

std::vector<double> swiglu(const std::vector<float>& gate, const std::vector<float>& up) {
  std::vector<double> result(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double g = static_cast<double>(gate[i]);
    result[i] = g * (1.0 / (1.0 + std::exp(-g))) * static_cast<double>(up[i]);
  }
  return result;
}

std::vector<double> geglu_tanh(const std::vector<float>& gate, const std::vector<float>& up) {
  constexpr double kRootOf2OverPi = 0.79788456080286535588;
  std::vector<double> result(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double g = static_cast<double>(gate[i]);
    // (1 + tanh(z)) / 2 as 1 / (1 + e^(-2 z)), which keeps its digits for negative z.
    const double z = kRootOf2OverPi * (g + 0.044715 * g * g * g);
    result[i] = g / (1.0 + std::exp(-2.0 * z)) * static_cast<double>(up[i]);
  }
  return result;
}

double gelu(float x) {
  constexpr double kRootOfHalf = 0.70710678118654752440;
  return static_cast<double>(x) * 0.5 * std::erfc(-static_cast<double>(x) * kRootOfHalf);
}

double soft_cap(float x, float cap) {
  return static_cast<double>(cap) * std::tanh(static_cast<double>(x) / static_cast<double>(cap));
}

std::vector<double> rope(const std::vector<float>& x, const std::vector<float>& cos,
                         const std::vector<float>& sin, bool interleaved, int32_t head_dim) {
  std::vector<double> result(x.begin(), x.end());
  const size_t half = cos.size();
  for (size_t head = 0; head < x.size(); head += static_cast<size_t>(head_dim)) {
    for (size_t i = 0; i < half; ++i) {
      const size_t first = head + (interleaved ? 2 * i : i);
      const size_t second = interleaved ? first + 1 : first + half;
      const double a = static_cast<double>(x[first]), b = static_cast<double>(x[second]);
      const double c = static_cast<double>(cos[i]), s = static_cast<double>(sin[i]);
      result[first] = a * c - b * s;
      result[second] = b * c + a * s;
    }
  }
  return result;
}

QuantizedGroup quantize_group(const float* x, int32_t n, double limit) {
  double amax = 0.0;
  for (int32_t i = 0; i < n; ++i) amax = std::max(amax, std::fabs(static_cast<double>(x[i])));
  QuantizedGroup result;
  result.scale = amax / limit;
  for (int32_t i = 0; i < n; ++i) {
    result.values.push_back(amax == 0.0 ? 0.0 : static_cast<double>(x[i]) * limit / amax);
  }
  return result;
}

double sum_exp(const std::vector<float>& x, float max) {
  double sum = 0.0;
  for (const float value : x) {
    sum += std::exp(static_cast<double>(value) - static_cast<double>(max));
  }
  return sum;
}

}  // namespace ruvllm::kernels::ref
