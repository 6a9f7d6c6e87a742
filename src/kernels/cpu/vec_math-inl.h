// Exponential and sigmoid on the vector type, from one source for every ISA.
#pragma once

#include "kernels/cpu/vec.h"

namespace ruvllm::kernels {
namespace {

// e^x within 2 ULP where the result is at least 2^-125: 1 at 0, 0 below -86.98, infinity above
// the logarithm of the largest float, NaN for NaN.
//
// x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite: the high part of ln 2 has 9 bits, so n times
// it is exact with or without fma), then e^r = 1 + r + r^2 q(r). q is the minimax polynomial for
// the relative error of e^r (Remez exchange, coefficients rounded one after the other): 3.3e-9.
template <class V>
RUVLLM_ALWAYS_INLINE V exp(V x) {
  const V lowest = V::broadcast(-86.98f);         // n >= -125 from here on
  const V highest = V::broadcast(0x1.62e42ep6f);  // 88.7228394: the last whose result is finite
  const V log2_e = V::broadcast(0x1.715476p0f);
  const V minus_ln2_high = V::broadcast(-0.693359375f);
  const V minus_ln2_low = V::broadcast(0x1.bd0106p-13f);
  // Adding this rounds to an integer and leaves n + 126 in the low bits: the exponent of 2^(n - 1).
  // The missing factor 2 is in the polynomial, so that n = 128 needs no scale beyond the range.
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
  const V e_r_minus_1 = V::mul_add(q, r * r, r);
  const V twice_e_r = V::mul_add(e_r_minus_1, V::broadcast(2.0f), V::broadcast(2.0f));

  const V result = twice_e_r * shifted.exponent_from_low_bits();
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

}  // namespace
}  // namespace ruvllm::kernels
