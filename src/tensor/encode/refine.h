// The search of the superblocks: integers and factors in turns while the error falls.
#pragma once

namespace ruvllm::codec {

// `improve` moves the integers of what is stored to better ones and returns the weighted squared
// error; `refit` takes the factors that suit the integers best, or returns false where they stay.
// Returns the best of at most `max_refits` + 1 rounds.
template <typename Stored, typename Improve, typename Refit>
Stored refine(Stored current, int max_refits, Improve&& improve, Refit&& refit) {
  float best_error = improve(current);
  Stored best = current;
  for (int i = 0; i < max_refits && refit(current); ++i) {
    const float error = improve(current);
    if (!(error < best_error)) break;
    best_error = error;
    best = current;
  }
  return best;
}

}  // namespace ruvllm::codec
