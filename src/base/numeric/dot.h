// Sums of products in double precision.
#pragma once

#include <cstddef>
#include <span>

namespace ruvllm {

namespace internal {

template <typename T>
double dot(std::span<const float> a, std::span<const T> b) {
  constexpr size_t kLanes = 8;
  double sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= a.size(); i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      sums[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
    }
  }
  for (; i < a.size(); ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace internal

// a . b of equal lengths, in eight sums, which compilers turn into vectors. Their order is fixed:
// equal inputs give equal bits.
inline double dot(std::span<const float> a, std::span<const float> b) {
  return internal::dot(a, b);
}
inline double dot(std::span<const float> a, std::span<const double> b) {
  return internal::dot(a, b);
}

inline double squared_norm(std::span<const float> x) { return dot(x, x); }

}  // namespace ruvllm
