#include "sona/loops/evidence/reservoir.h"

#include <utility>

namespace ruvllm::sona {

void Reservoir::offer(SharedSample sample) {
  const uint64_t number = static_cast<uint64_t>(num_offered_++);
  if (samples_.size() < max_samples_) {
    samples_.push_back(std::move(sample));
    return;
  }
  const double drawn = random_.uniform(number) * static_cast<double>(num_offered_);
  const size_t place = static_cast<size_t>(drawn);
  if (place < samples_.size()) samples_[place] = std::move(sample);
}

int64_t Reservoir::num_tokens() const {
  int64_t count = 0;
  for (const SharedSample& sample : samples_) count += static_cast<int64_t>(sample->tokens.size());
  return count;
}

}  // namespace ruvllm::sona
