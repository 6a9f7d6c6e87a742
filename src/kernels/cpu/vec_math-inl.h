// Exponential, sigmoid and hyperbolic tangent on the vector type, from one source for every ISA.
#pragma once

#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

// e^x = 2^n (1 + e_r_minus_1) with n = round(x / ln 2), in the form that its users need.
//
// x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite: the high part of ln 2 has 9 bits, so n times
// it is exact with or without fma), then e^r = 1 + r + r^2 q(r). q is the minimax polynomial for
// the relative error of e^r (Remez exchange, coefficients rounded one after the other): 3.3e-9.
template <class V>
struct SplitExp {
  V shifted;  // its low bits hold n + 126: the exponent of 2^(n - 1)
  V e_r_minus_1;
};

template <class V>
RUVLLM_ALWAYS_INLINE SplitExp<V> split_exp(V x) {
  const V log2_e = V::broadcast(0x1.715476p0f);
  const V minus_ln2_high = V::broadcast(-0.693359375f);
  const V minus_ln2_low = V::broadcast(0x1.bd0106p-13f);
  // Adding this rounds to an integer.
  const V round_and_bias = V::broadcast(12582912.0f + 126.0f);

  const V shifted = V::mul_add(x, log2_e, round_and_bias);
  const V n = shifted - round_and_bias;
  V r = V::mul_add(n, minus_ln2_high, x);
  r = V::mul_add(n, minus_ln2_low, r);

  V q = V::broadcast(0x1.6ad156p-10f);
  q = V::mul_add(q, r, V::broadcast(0x1.123f3p-7f));
  q = V::mul_add(q, r, V::broadcast(0x1.55584ep-5f));
  q = V::mul_add(q, r, V::broadcast(0x1.55548ap-3f));
  q = V::mul_add(q, r, V::broadcast(0x1.fffffcp-2f));
  return {shifted, V::mul_add(q, r * r, r)};
}

// e^x within 2 ULP where the result is at least 2^-125: 1 at 0, 0 below -86.98, infinity above
// the logarithm of the largest float, NaN for NaN.
template <class V>
RUVLLM_ALWAYS_INLINE V exp(V x) {
  const V lowest = V::broadcast(-86.98f);         // n >= -125 from here on
  const V highest = V::broadcast(0x1.62e42ep6f);  // 88.7228394: the last whose result is finite
  const SplitExp<V> split = split_exp(x);
  // 2^(n - 1) twice: n = 128 needs no scale beyond the range.
  const V twice_e_r = V::mul_add(split.e_r_minus_1, V::broadcast(2.0f), V::broadcast(2.0f));
  const V result = twice_e_r * split.shifted.exponent_from_low_bits();
  const V from_below = V::select_less(x, lowest, V::zero(), result);
  return V::select_less(highest, x, V::broadcast(__builtin_inff()), from_below);
}

// 1 / (1 + e^-x) as e / (1 + e) with e = e^-|x|, which cannot overflow; 0 below -86.98.
template <class V>
RUVLLM_ALWAYS_INLINE V sigmoid(V x) {
  const V one = V::broadcast(1.0f);
  const V e = exp(V::zero() - x.abs());
  return V::select_less(x, V::zero(), e, one) / (one + e);
}

// (e - 1) / (e + 1) with e = e^(2 |x|), within 4 ULP: e - 1 = 2^n (e^r - 1) + (2^n - 1) keeps its
// digits where x is small. From 9.02 on the result is 1 to the last bit; NaN for NaN.
template <class V>
RUVLLM_ALWAYS_INLINE V tanh(V x) {
  const V one = V::broadcast(1.0f), two = V::broadcast(2.0f), limit = V::broadcast(9.5f);
  const V magnitude = x.abs();
  const V bounded = V::select_less(limit, magnitude, limit, magnitude);
  const SplitExp<V> split = split_exp(bounded + bounded);
  const V power = split.shifted.exponent_from_low_bits() * two;  // 2^n
  const V e_minus_1 = V::mul_add(split.e_r_minus_1, power, power - one);
  const V result = e_minus_1 / (e_minus_1 + two);
  return V::select_less(x, V::zero(), V::zero() - result, result);
}

}  // namespace
}  // namespace ruvllm::kernels
