#include "sona/deep/gradients/row_gradients.h"

#include <cmath>

namespace ruvllm::sona {

void add_rms_norm_gradient(const float* x, const float* weight, float eps, int32_t n,
                           const float* dy, float* dx) noexcept {
  double squares = 0.0, products = 0.0;
  for (int32_t i = 0; i < n; ++i) {
    const double value = x[i];
    squares += value * value;
    products += static_cast<double>(weight[i]) * static_cast<double>(dy[i]) * value;
  }
  const double inverse = 1.0 / std::sqrt(squares / n + static_cast<double>(eps));
  const double along = products * inverse * inverse * inverse / n;
  for (int32_t i = 0; i < n; ++i) {
    const double scaled = static_cast<double>(weight[i]) * static_cast<double>(dy[i]) * inverse;
    dx[i] += static_cast<float>(scaled - static_cast<double>(x[i]) * along);
  }
}

void swiglu_gradient(const float* gate, const float* up, const float* dy, int32_t n, float* d_gate,
                     float* d_up) noexcept {
  for (int32_t i = 0; i < n; ++i) {
    const float sigmoid = 1.0f / (1.0f + std::exp(-gate[i]));
    const float out = dy[i];
    const float by_gate = out * up[i] * sigmoid * (1.0f + gate[i] * (1.0f - sigmoid));
    d_up[i] = out * gate[i] * sigmoid;
    d_gate[i] = by_gate;
  }
}

}  // namespace ruvllm::sona
