// Finds where a stream of samples changes its subject: Page's cumulative sum (1954) over the
// served mixture's loss, in standard deviations above its running mean.
#pragma once

#include <cstdint>

namespace ruvllm::sona {

class ChangePoint {
 public:
  // Mean loss of a sample, nats a token. true: the subject has changed with it; the statistics
  // start anew there.
  bool add(double loss);

 private:
  static constexpr int64_t kWarmUp = 8;   // samples that only set the scale
  static constexpr double kMemory = 0.1;  // of the running mean and variance
  static constexpr double kDrift = 0.5;   // rises below it do not add up
  static constexpr double kAlarm = 6;
  static constexpr double kLargest = 8;  // what one sample can add
  static constexpr double kLeastDeviation = 0.02;

  int64_t count_ = 0;
  double mean_ = 0, variance_ = 0, sum_ = 0;
};

}  // namespace ruvllm::sona
