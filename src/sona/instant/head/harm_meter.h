// What a fast head has cost against the base, and the most that it can have cost.
//
// The loss is convex in B. For steps B <- B - rate G from B = 0, constant rate, projections onto
// convex sets that hold 0 (clipping, dropping a row), and G the kept part of the gradient,
//   sum (loss - base loss) <= rate / 2 sum |G|^2 + sum over dropped entries of r_i d_i
// at every moment (Zinkevich 2003 with the base, B = 0, as comparator): `certificate`. It covers
// what was learned with weights >= 0 and before the weights were first consolidated; rounding of
// rows to 8 bits is outside of it.
#pragma once

namespace ruvllm::sona {

struct HarmMeter {
  double measured = 0;     // nats, weighted
  double certificate = 0;  // nats
};

}  // namespace ruvllm::sona
