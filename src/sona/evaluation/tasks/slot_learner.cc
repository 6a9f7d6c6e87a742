#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <utility>

#include "sona/evaluation/tasks/task_learner.h"
#include "tensor/blocks.h"

namespace ruvllm::sona {
namespace {

constexpr int64_t kConversation = 200;

}  // namespace

SlotLearner::SlotLearner(const StudySetting& setting)
    : setting_(setting), evaluator_(setting.device.kernels(), setting.hidden_dim()) {}

void SlotLearner::begin_task(size_t /*domain*/) {
  InstantOptions options = setting_.learner;
  options.memory_experts.clear();
  options.fast_heads.resize(1);
  options.max_rows = std::max(options.max_rows, setting_.vocab_size());
  // Nothing is held yet, but what a merge has to know is counted.
  options.fast_heads.front().ewc_lambda = 1e-9;
  slots_.emplace_back(setting_.device.kernels(), setting_.features, options);
  adapters_.push_back(publish_rows(slots_.back()));
}

void SlotLearner::learn(const FeedChunk& chunk) {
  evidence_.build(chunk, chunk.hidden, chunk.targets, adapters_.back()->row_tokens);
  slots_.back().learn(evidence_.tokens());
  adapters_.back() = publish_rows(slots_.back());
}

void SlotLearner::end_task() { slots_.back().end_task(); }

void SlotLearner::begin_test() {
  num_tested_ = 0;
  std::vector<double> prior(1 + slots_.size(), 0.5 / static_cast<double>(slots_.size()));
  prior[0] = 0.5;
  weights_ = std::make_unique<adapters::ExpertWeights>(prior, setting_.share);
}

void SlotLearner::test(const FeedChunk& chunk, std::span<double> log_ratios) {
  if (num_tested_ >= kConversation) begin_test();
  num_tested_ += chunk.num_positions;
  std::array<double, adapters::kMaxHeadExperts> ratios;
  std::array<double, adapters::kMaxHeadExperts> of_slot;
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t place = static_cast<size_t>(position);
    ratios.fill(1.0);
    for (size_t slot = 0; slot < slots_.size(); ++slot) {
      if (!evaluator_.evaluate(*adapters_[slot], chunk.hidden_of(position),
                               chunk.logits_of(position), chunk.log_sum_exp[place])) {
        continue;
      }
      evaluator_.ratios(chunk.targets[place], of_slot);
      ratios[slot + 1] = of_slot[1];
    }
    log_ratios[place] = weights_->update(std::span(ratios).first(1 + slots_.size()));
  }
}

std::shared_ptr<const adapters::HeadAdapter> SlotLearner::merged(Merge merge) const {
  struct Sums {
    std::vector<double> values, weights;
  };
  std::map<int32_t, Sums> rows;
  for (const InstantLearner& slot : slots_) {
    const FastHeadLearner& head = slot.fast_head(0);
    for (const RowTable::Entry& entry : slot.rows()) {
      const std::span<const float> row = head.row(entry.slot);
      const std::span<const float> fisher = head.consolidation().fisher(entry.slot);
      Sums& sums = rows[entry.token];
      sums.values.resize(row.size());
      sums.weights.resize(row.size());
      for (size_t i = 0; i < row.size(); ++i) {
        const double weight = merge == Merge::kAverage
                                  ? 1.0
                                  : (fisher.empty() ? 0.0 : static_cast<double>(fisher[i]));
        sums.values[i] += weight * static_cast<double>(row[i]);
        sums.weights[i] += weight;
      }
    }
  }
  auto adapter = std::make_shared<adapters::HeadAdapter>();
  adapter->generation = 1;
  adapter->features = setting_.features;
  adapter->prior = {0.5, 0.5};
  adapters::FastHeadRows& head = adapter->fast_heads.emplace_back();
  const size_t padded_dim = static_cast<size_t>(setting_.features->padded_dim());
  std::vector<float> row(padded_dim + 1);
  for (const auto& [token, sums] : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const double divisor = merge == Merge::kAverage ? static_cast<double>(slots_.size())
                                                      : std::max(sums.weights[i], 1e-30);
      row[i] = static_cast<float>(sums.values[i] / divisor);
    }
    adapter->row_tokens.push_back(token);
    const size_t first = head.rows.size();
    head.rows.resize(first + padded_dim / kBlock32);
    adapters::encode_row_q8(std::span(row).first(padded_dim), head.rows.data() + first);
    head.biases.push_back(row[padded_dim]);
  }
  return adapter;
}

}  // namespace ruvllm::sona
