// Four floats at a time, for the searches of the encoders: every x86-64 has them, and the sums of a
// search do not depend on the compiler's choices or on the instruction set.
#pragma once

#include <cstdint>
#include <cstring>

namespace ruvllm::codec {

inline constexpr int kLanes = 4;
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
using Integers = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));

inline Floats load(const float* values) {
  Floats out;
  std::memcpy(&out, values, sizeof(out));
  return out;
}
inline void store(Floats values, float* out) { std::memcpy(out, &values, sizeof(values)); }
inline Floats splat(float value) { return Floats{value, value, value, value}; }
inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }
inline float sum(Floats v) { return (v[0] + v[2]) + (v[1] + v[3]); }

// Nearest integers, ties to even, of values below 2^22; larger ones stay as large or larger.
inline Floats nearest(Floats values) {
  const Floats shift = splat(0x1.8p23f);
  return (values + shift) - shift;
}

// Nearest integers, ties away from zero as std::round has them, of values below 2^31.
inline Integers rounded(Floats values) {
  const Integers whole = __builtin_convertvector(values, Integers);
  const Floats rest = values - __builtin_convertvector(whole, Floats);
  return whole - (rest >= splat(0.5f)) + (rest <= splat(-0.5f));  // true is -1
}

}  // namespace ruvllm::codec
