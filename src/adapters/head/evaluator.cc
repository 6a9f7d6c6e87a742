#include "adapters/head/evaluator.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "adapters/head/probability.h"
#include "base/core/check.h"

namespace ruvllm::adapters {
namespace {

// Far beyond what learning allows; keeps sums finite.
constexpr float kMaxShift = 40;

int32_t padded(int32_t hidden_dim) { return (hidden_dim + kBlock32 - 1) / kBlock32 * kBlock32; }

// What float holds, in float: as exact as the logit that it is added to.
float log_ratio(double ratio) {
  if (ratio > 1e-30 && ratio < 1e30) return std::log(static_cast<float>(ratio));
  return static_cast<float>(std::log(ratio));
}

}  // namespace

HeadEvaluator::HeadEvaluator(const kernels::KernelTable& kernels, int32_t hidden_dim,
                             int32_t max_memory_reads)
    : products_(kernels, padded(hidden_dim), 1),
      search_(max_memory_reads),
      unit_(static_cast<size_t>(padded(hidden_dim))) {}

void HeadEvaluator::reserve(const HeadAdapter& adapter) {
  const size_t num_rows = adapter.row_tokens.size();
  size_t most = num_rows + static_cast<size_t>(kNearest);
  for (const auto& memory : adapter.corrections) most += memory->num_states();
  search_.reserve(adapter.memory);
  corrections_.reserve(adapter.corrections);
  const int64_t states = adapter.memory.num_states();
  near_.reserve(static_cast<size_t>(states));
  candidates_.reserve(most);
  row_candidates_.reserve(num_rows);
  base_.reserve(most);
  ratio_.reserve(most * adapter.num_experts());
  tail_.reserve(adapter.num_experts());
  shifts_.reserve(num_rows);
  extra_.reserve(most);
  corrected_.reserve(most);
  features_.reserve(static_cast<size_t>(HiddenSpaceAdapter::kMaxRank));
}

// The kNearest states read, by token; those of equal similarity in the order of their tokens.
void HeadEvaluator::select_near(const HeadAdapter& adapter, const MemoryMatches& matches) {
  near_.clear();
  highest_ = -1;
  for (const float similarity : matches.similarities) highest_ = std::max(highest_, similarity);
  float lowest = highest_;
  for (const MemoryExpert& memory : adapter.memory_experts) {
    lowest = std::min(lowest, highest_ - kWindow / memory.sharpness);
  }
  for (size_t i = 0; i < matches.targets.size(); ++i) {
    if (matches.similarities[i] < lowest) continue;
    near_.push_back({matches.targets[i], matches.similarities[i], matches.masses[i]});
  }
  if (near_.size() > static_cast<size_t>(kNearest)) {
    std::nth_element(
        near_.begin(), near_.begin() + kNearest, near_.end(), [](const Near& a, const Near& b) {
          return a.similarity != b.similarity ? a.similarity > b.similarity : a.token < b.token;
        });
    near_.resize(static_cast<size_t>(kNearest));
  }
  std::sort(near_.begin(), near_.end(), [](const Near& a, const Near& b) {
    return a.token != b.token ? a.token < b.token : a.similarity > b.similarity;
  });
}

void HeadEvaluator::collect_candidates(const HeadAdapter& adapter) {
  extra_.clear();
  for (const Near& near : near_) extra_.push_back(near.token);
  for (const CorrectionReader::Said& said : corrections_.said()) extra_.push_back(said.token);
  if (!corrections_.said().empty()) std::sort(extra_.begin(), extra_.end());
  extra_.erase(std::unique(extra_.begin(), extra_.end()), extra_.end());

  candidates_.clear();
  row_candidates_.clear();
  size_t next = 0;
  for (const int32_t token : adapter.row_tokens) {
    for (; next < extra_.size() && extra_[next] < token; ++next) {
      candidates_.push_back(extra_[next]);
    }
    if (next < extra_.size() && extra_[next] == token) ++next;
    row_candidates_.push_back(candidates_.size());
    candidates_.push_back(token);
  }
  candidates_.insert(candidates_.end(), extra_.begin() + static_cast<ptrdiff_t>(next),
                     extra_.end());
}

// The expert that adds shifts_ to the logits of the rows' tokens.
void HeadEvaluator::add_shifted(size_t expert) {
  double* ratio = ratio_.data() + expert * candidates_.size();
  double in_rows = 0;
  double grown = 0;
  for (size_t r = 0; r < row_candidates_.size(); ++r) {
    const double base = base_[row_candidates_[r]];
    const float factor = std::exp(std::clamp(shifts_[r], -kMaxShift, kMaxShift));
    ratio[row_candidates_[r]] = static_cast<double>(factor);
    in_rows += base;
    grown += base * static_cast<double>(factor);
  }
  const double scale = 1.0 / (std::max(1.0 - in_rows, 0.0) + grown);
  tail_[expert] = scale;
  for (size_t i = 0; i < candidates_.size(); ++i) ratio[i] *= scale;
}

void HeadEvaluator::add_fast_head(const FastHeadRows& head, size_t expert) {
  const int32_t num_rows = static_cast<int32_t>(row_candidates_.size());
  shifts_.resize(row_candidates_.size());
  products_.multiply(head.rows.data(), num_rows, shifts_.data());
  for (size_t r = 0; r < shifts_.size(); ++r) shifts_[r] += HeadFeatures::kBias * head.biases[r];
  add_shifted(expert);
}

void HeadEvaluator::add_hidden_space(const HiddenSpaceAdapter& hidden, size_t expert) {
  features_.resize(static_cast<size_t>(hidden.rank));
  hidden_features(hidden, unit_, features_);
  shifts_.assign(row_candidates_.size(), 0.0f);
  for (size_t k = 0; k < features_.size(); ++k) {
    const float* projected = hidden.projected.data() + k * shifts_.size();
    for (size_t r = 0; r < shifts_.size(); ++r) shifts_[r] += features_[k] * projected[r];
  }
  add_shifted(expert);
}

void HeadEvaluator::add_memory(const MemoryExpert& memory, const MemoryMatches& matches,
                               size_t expert) {
  const auto kernel = [&](float similarity) {
    return static_cast<double>(std::exp(memory.sharpness * (similarity - highest_)));
  };
  double all = 0;
  for (size_t i = 0; i < matches.similarities.size(); ++i) {
    all += static_cast<double>(matches.masses[i]) * kernel(matches.similarities[i]);
  }
  for (const auto& list : matches.unread) {
    all += list.count * static_cast<double>(list.mean_mass) * kernel(list.similarity);
  }

  double* ratio = ratio_.data() + expert * candidates_.size();
  std::fill_n(ratio, candidates_.size(), 0.0);
  const double scale = static_cast<double>(memory.share) / all;
  double near_share = 0;
  size_t candidate = 0;
  for (size_t i = 0; i < near_.size();) {
    double mass = 0;
    const int32_t token = near_[i].token;
    for (; i < near_.size() && near_[i].token == token; ++i) {
      mass += static_cast<double>(near_[i].mass) * kernel(near_[i].similarity);
    }
    while (candidates_[candidate] != token) ++candidate;
    // What the base holds impossible, a mask say, stays so and keeps the base's share.
    if (base_[candidate] <= 0) continue;
    ratio[candidate] = mass * scale / base_[candidate];
    near_share += mass * scale;
  }
  tail_[expert] = 1.0 - near_share;
  for (size_t i = 0; i < candidates_.size(); ++i) ratio[i] += tail_[expert];
}

void HeadEvaluator::add_corrections() {
  if (corrections_.said().empty()) return;
  corrected_.assign(candidates_.size(), 0.0);
  double possible = 0;
  size_t candidate = 0;
  for (const CorrectionReader::Said& said : corrections_.said()) {
    while (candidates_[candidate] != said.token) ++candidate;
    // What the base holds impossible stays so.
    if (base_[candidate] <= 0) continue;
    corrected_[candidate] = said.share / base_[candidate];
    possible += said.share;
  }
  if (possible <= 0) return;
  for (double& ratio : corrected_) ratio /= possible;
  gate_ = corrections_.gate() * possible;
}

bool HeadEvaluator::evaluate(const HeadAdapter& adapter, std::span<const float> hidden,
                             std::span<const float> logits, double log_sum_exp) {
  candidates_.clear();
  num_experts_ = adapter.num_experts();
  RUVLLM_CHECK(num_experts_ <= kMaxHeadExperts);
  tail_.assign(num_experts_, 1.0);
  gate_ = 0;
  if (adapter.empty() || !std::isfinite(log_sum_exp) || !adapter.features->unit(hidden, unit_)) {
    return false;
  }
  products_.set_input(0, unit_);
  const MemoryMatches& matches = search_.find(adapter.memory, products_);
  select_near(adapter, matches);
  corrections_.read(adapter.corrections, products_);
  collect_candidates(adapter);
  base_.resize(candidates_.size());
  for (size_t i = 0; i < candidates_.size(); ++i) {
    base_[i] = base_probability(logits[static_cast<size_t>(candidates_[i])], log_sum_exp);
  }
  ratio_.assign(num_experts_ * candidates_.size(), 1.0);
  size_t expert = 1;
  for (const FastHeadRows& head : adapter.fast_heads) add_fast_head(head, expert++);
  for (const MemoryExpert& memory : adapter.memory_experts) {
    if (!near_.empty()) add_memory(memory, matches, expert);
    ++expert;
  }
  for (const HiddenSpaceAdapter& space : adapter.hidden_spaces) {
    add_hidden_space(space, expert++);
  }
  add_corrections();
  return true;
}

void HeadEvaluator::ratios(int32_t token, std::span<double> ratio) const {
  const auto found = std::lower_bound(candidates_.begin(), candidates_.end(), token);
  const bool is_candidate = found != candidates_.end() && *found == token;
  const size_t i = static_cast<size_t>(found - candidates_.begin());
  for (size_t k = 0; k < num_experts_; ++k) {
    ratio[k] = is_candidate ? ratio_[k * candidates_.size() + i] : tail_[k];
  }
}

CorrectionSays HeadEvaluator::correction(int32_t token) const {
  if (gate_ <= 0) return {};
  const auto found = std::lower_bound(candidates_.begin(), candidates_.end(), token);
  if (found == candidates_.end() || *found != token) return {.gate = gate_, .ratio = 0};
  return {.gate = gate_, .ratio = corrected_[static_cast<size_t>(found - candidates_.begin())]};
}

double HeadEvaluator::update(ExpertWeights& weights, int32_t token) const {
  std::array<double, kMaxHeadExperts> ratio;
  ratios(token, std::span(ratio).first(num_experts_));
  return weights.update(std::span(ratio).first(num_experts_), correction(token));
}

void HeadEvaluator::adjust(const ExpertWeights& weights, std::span<float> logits) const {
  const double open = weights.trust() * gate_;
  double tail = 0;
  for (size_t k = 0; k < num_experts_; ++k) tail += weights.weight(k) * tail_[k];
  for (size_t i = 0; i < candidates_.size(); ++i) {
    double ratio = 0;
    for (size_t k = 0; k < num_experts_; ++k) {
      ratio += weights.weight(k) * ratio_[k * candidates_.size() + i];
    }
    if (open > 0) ratio += open / (1.0 - open) * corrected_[i];
    float& logit = logits[static_cast<size_t>(candidates_[i])];
    logit += log_ratio(ratio / tail);
  }
}

}  // namespace ruvllm::adapters
