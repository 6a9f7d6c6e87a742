// A confidence sequence: an interval for the mean of bounded numbers that holds at all times at
// once, so that one may look after every number and stop whenever one likes.
//
// The empirical-Bernstein sequence of Waudby-Smith and Ramdas (https://arxiv.org/abs/2010.09686,
// theorem 2): for X_t in [0, 1] with conditional mean mu, predictable lambda_t in (0, 1) and
// psi(l) = (-log(1 - l) - l) / 4, with probability 1 - alpha for all t
//   |sum lambda_i X_i / sum lambda_i - mu| <= (log(2 / alpha) + 4 sum (X_i - m_(i-1))^2
//   psi(lambda_i)) / sum lambda_i.
// Where the conditional means differ, it holds for their average weighted by lambda. Numbers beyond
// the range are clipped to it: the interval is then for the mean of the clipped numbers.
#pragma once

#include <cstdint>

namespace ruvllm::sona {

class ConfidenceSequence {
 public:
  // For numbers in [-bound, bound], wrong with probability alpha at most.
  ConfidenceSequence(double bound, double alpha);

  // Ignores what is not a number.
  void add(double value);

  int64_t count() const { return count_; }
  // The intersection of all intervals so far; [-bound, bound] at first.
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double bound_;
  double log_term_;  // log(2 / alpha)
  int64_t count_ = 0;
  double low_, high_;
  // Of X = (value + bound) / (2 bound).
  double sum_ = 0, squares_ = 0;
  double weighted_sum_ = 0, weights_ = 0, variance_sum_ = 0;
};

}  // namespace ruvllm::sona
