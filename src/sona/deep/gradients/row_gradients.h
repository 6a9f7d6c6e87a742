// Gradients of the row operations around the matrix products (kernels/cpu/elementwise.h). One row
// each; thread-safe, no allocation.
#pragma once

#include <cstdint>

namespace ruvllm::sona {

// Of y = x / rho * weight with rho = sqrt(mean(x^2) + eps):
//   dx_i += weight_i dy_i / rho - x_i / (n rho^3) * sum_j weight_j dy_j x_j
// Sums are kept in double.
void add_rms_norm_gradient(const float* x, const float* weight, float eps, int32_t n,
                           const float* dy, float* dx) noexcept;

// Of y = silu(gate) * up with s = sigmoid(gate):
//   d_gate = dy * up * s * (1 + gate * (1 - s)),  d_up = dy * gate * s
// d_gate and d_up are written; one of them may be dy.
void swiglu_gradient(const float* gate, const float* up, const float* dy, int32_t n, float* d_gate,
                     float* d_up) noexcept;

}  // namespace ruvllm::sona
