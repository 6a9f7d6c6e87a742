// The width-agnostic float vector that bodies of memory-bound kernels (*-inl.h) are written
// against.
//
// One specialisation per ISA, Vec<GenericIsa>, Vec<Avx2Isa>, ..., each in that ISA's folder and
// included only by that ISA's sources. Everything here and in *-inl.h has internal linkage: the
// same body is compiled under different instruction sets, and one merged copy of it would run
// instructions that the processor may lack.
//
// A specialisation is a value type around one register of kLanes floats. kLanes divides 16:
//
//   kTileRows, kTileVecs    register tile of products: kTileRows * kTileVecs sums, kTileRows
//                           broadcasts and one operand fit the registers; kTileVecs * kLanes
//                           divides 32
//   kMaxRowsDirect          up to this many attention rows, converting binary16 in each tile costs
//                           less than a pass that converts the page
//   order_memory_after(v)   v is computed before any later load: keeps the compiler from loading
//                           all operands of a tile at once and spilling
//   zero(), broadcast(f)
//   load(p), store(p)       any alignment
//   load_partial(p, count, fill), store_partial(p, count)
//                           first count (0..kLanes) lanes from p, others fill; neither touches
//                           memory past count
//   load_pairs(p), load_pairs_partial(p, count)
//                           p[0] p[0] p[1] p[1] ...; count of values read, up to kLanes / 2
//   load_f16(p), store_f16(p)
//                           binary16; stores round to nearest, ties to even
//   + - * /, mul_add(a, b, c)
//                           a * b + c, fused where the ISA does that in one instruction
//   max(a, b)               b where a is NaN, so max(x, bound) drops NaN of x
//   select_less(a, b, t, f) a < b ? t : f, hence f where unordered
//   abs(), lane_index()     0, 1, 2, ... as floats
//   swap_pairs(), negate_even()
//                           (1, 0, 3, 2, ...); sign flipped in lanes 0, 2, ...
//   exponent_from_low_bits()
//                           the bits of each lane shifted left by 23
//   horizontal_max(), horizontal_sum()
//                           of all lanes, in one fixed order
//   DoubleSum               kLanes double accumulators: add(v), add_square(v), store(p)
//   max_abs_bits(p, n)      the largest bits of |p[i]|, n a multiple of 32
//   quantize32(p, inverse, q8, sums16)
//                           q8 = round-to-nearest-even(p * inverse) for 32 values with
//                           |p * inverse| < 127.5, and the sums of both halves
//   quantize32_i16(p, inverse, q16)
//                           the same with |p * inverse| < 32767.5, without sums
//   prefetch(p), prefetch_far(p)
//                           hints: the cache line of p is read soon, or later (second-level cache)
#pragma once

#include <cstdint>

#define RUVLLM_ALWAYS_INLINE inline __attribute__((always_inline))
#define RUVLLM_INLINE_LAMBDA __attribute__((always_inline))
// Around a register tile, so that its surroundings do not compete for registers.
#define RUVLLM_NEVER_INLINE __attribute__((noinline))

namespace ruvllm::kernels {
namespace {

template <class Isa>
struct Vec;

// Sums over a row are kept in this many lanes, whatever the width, and added up in one order.
constexpr int kSumLanes = 16;

RUVLLM_ALWAYS_INLINE uint32_t float_bits(float value) {
  return __builtin_bit_cast(uint32_t, value);
}
RUVLLM_ALWAYS_INLINE float float_from_bits(uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}

// How many of a vector's lanes lie below n when it starts at index: 0..kLanes.
template <class V>
RUVLLM_ALWAYS_INLINE int32_t lanes_below(int32_t index, int32_t n) {
  const int32_t left = n - index;
  return left < 0 ? 0 : (left < V::kLanes ? left : V::kLanes);
}

}  // namespace
}  // namespace ruvllm::kernels
