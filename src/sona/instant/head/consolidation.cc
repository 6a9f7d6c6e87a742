#include "sona/instant/head/consolidation.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::sona {

void proximal_step(std::span<float> values, std::span<const float> anchors,
                   std::span<const float> fishers, double strength) {
  const float step = static_cast<float>(std::min(strength, 1e30));
  for (size_t i = 0; i < values.size(); ++i) {
    // The same as (B + s F B*) / (1 + s F), but finite where s F is not.
    const float kept = 1.0f / (1.0f + step * fishers[i]);
    values[i] = anchors[i] + (values[i] - anchors[i]) * kept;
  }
}

std::span<const float> HeadConsolidation::row_of(const std::vector<float>& rows,
                                                 int32_t slot) const {
  const size_t first = static_cast<size_t>(slot) * width_;
  if (first + width_ > rows.size()) return {};
  return std::span(rows).subspan(first, width_);
}

std::span<float> HeadConsolidation::grown_row(std::vector<float>& rows, int32_t slot) const {
  const size_t first = static_cast<size_t>(slot) * width_;
  if (first + width_ > rows.size()) rows.resize(first + width_);
  return std::span(rows).subspan(first, width_);
}

void HeadConsolidation::observe(int32_t slot, double probability, std::span<const float> phi) {
  const float variance = static_cast<float>(probability * (1.0 - probability));
  const std::span<float> sums = grown_row(current_, slot);
  for (size_t i = 0; i < width_; ++i) sums[i] += variance * phi[i] * phi[i];
}

void HeadConsolidation::forget(int32_t slot) {
  for (std::vector<float>* rows : {&current_, &fishers_, &anchors_}) {
    if (!row_of(*rows, slot).empty()) std::ranges::fill(grown_row(*rows, slot), 0.0f);
  }
}

void HeadConsolidation::clear() {
  current_.clear();
  fishers_.clear();
  anchors_.clear();
  num_tokens_ = 0;
}

bool HeadConsolidation::is_consistent(size_t num_slots) const {
  for (const std::vector<float>* rows : {&current_, &fishers_, &anchors_}) {
    if (rows->size() % width_ != 0 || rows->size() > num_slots * width_) return false;
  }
  const auto is_information = [](float value) { return value >= 0.0f && std::isfinite(value); };
  return num_tokens_ >= 0 && fishers_.size() == anchors_.size() &&
         std::ranges::all_of(current_, is_information) &&
         std::ranges::all_of(fishers_, is_information) &&
         std::ranges::all_of(anchors_, [](float value) { return std::isfinite(value); });
}

void HeadConsolidation::end_task(std::span<const float> weights, double decay) {
  fishers_.resize(weights.size());
  anchors_.assign(weights.begin(), weights.end());
  for (float& fisher : fishers_) fisher *= static_cast<float>(decay);
  const float scale = num_tokens_ == 0 ? 0.0f : 1.0f / static_cast<float>(num_tokens_);
  for (size_t i = 0; i < std::min(current_.size(), fishers_.size()); ++i) {
    fishers_[i] += current_[i] * scale;
  }
  current_.clear();
  num_tokens_ = 0;
}

void HeadConsolidation::pull(int32_t slot, std::span<float> row, double strength) const {
  const std::span<const float> anchors = row_of(anchors_, slot);
  if (!anchors.empty()) proximal_step(row, anchors, row_of(fishers_, slot), strength);
}

}  // namespace ruvllm::sona
