#include "sona/loops/user/change_point.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::sona {

bool ChangePoint::add(double loss) {
  if (!std::isfinite(loss)) return false;
  ++count_;
  const double deviation = std::max(std::sqrt(variance_), kLeastDeviation);
  const double score = std::min((loss - mean_) / deviation, kLargest);
  if (count_ > kWarmUp) {
    sum_ = std::max(0.0, sum_ + score - kDrift);
    if (sum_ > kAlarm) {
      *this = {};
      count_ = 1;
      mean_ = loss;
      return true;
    }
  }
  // A plain mean at first, then a running one, on which what stands out has little influence: it
  // would hide itself.
  const double share = std::max(1.0 / static_cast<double>(count_), kMemory);
  const double limit = count_ > kWarmUp ? 2 * deviation : std::abs(loss - mean_);
  const double step = std::clamp(loss - mean_, -limit, limit);
  mean_ += share * step;
  variance_ = (1 - share) * (variance_ + share * step * step);
  return false;
}

}  // namespace ruvllm::sona
