#include "adapters/head/corrections/correction_reader.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace ruvllm::adapters {

void CorrectionReader::reserve(Memories memories) {
  size_t most = 0;
  size_t sum = 0;
  for (const auto& memory : memories) {
    most = std::max(most, memory->num_states());
    sum += memory->num_states();
  }
  similarities_.reserve(most);
  near_.reserve(sum);
  said_.reserve(sum);
}

void CorrectionReader::read(Memories memories, RowProducts& products) {
  gate_ = 0;
  near_.clear();
  said_.clear();
  float highest = -1;
  float gate = 0;
  for (const auto& memory : memories) {
    similarities_.resize(memory->num_states());
    products.multiply(memory->rows.data(), static_cast<int32_t>(memory->num_states()),
                      similarities_.data());
    for (size_t s = 0; s < similarities_.size(); ++s) {
      const float open = correction_gate(similarities_[s], memory->thresholds[s]);
      if (open <= 0) continue;
      near_.push_back({memory->targets[s], similarities_[s], open, memory->sharpness});
      highest = std::max(highest, similarities_[s]);
      gate = std::max(gate, open);
    }
  }
  if (near_.empty()) return;
  gate_ = static_cast<double>(gate);
  std::sort(near_.begin(), near_.end(), [](const Near& a, const Near& b) {
    return a.token != b.token ? a.token < b.token : a.similarity > b.similarity;
  });
  double sum = 0;
  for (const Near& near : near_) {
    const double weight =
        static_cast<double>(near.gate * std::exp(near.sharpness * (near.similarity - highest)));
    if (said_.empty() || said_.back().token != near.token) said_.push_back({near.token, 0});
    said_.back().share += weight;
    sum += weight;
  }
  for (Said& said : said_) said.share /= sum;
}

}  // namespace ruvllm::adapters
