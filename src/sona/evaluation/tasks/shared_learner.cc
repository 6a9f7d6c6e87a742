#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "sona/evaluation/tasks/task_learner.h"

namespace ruvllm::sona {
namespace {

constexpr int64_t kConversation = 200;

InstantOptions options_of(const StudySetting& setting, const SharedLearnerOptions& options) {
  InstantOptions learner = setting.learner;
  for (FastHeadOptions& head : learner.fast_heads) head.ewc_lambda = options.ewc_lambda;
  if (!options.is_served) learner.memory_experts.clear();
  // Eviction of rows would be another way to forget.
  learner.max_rows = std::max(learner.max_rows, setting.vocab_size());
  return learner;
}

}  // namespace

std::shared_ptr<const adapters::HeadAdapter> publish_rows(InstantLearner& learner) {
  auto adapter = std::make_shared<adapters::HeadAdapter>(*learner.publish());
  adapter->memory = {};
  return adapter;
}

void fast_head_log_ratios(adapters::HeadEvaluator& evaluator, const adapters::HeadAdapter& adapter,
                          const FeedChunk& chunk, std::span<double> log_ratios) {
  std::array<double, adapters::kMaxHeadExperts> ratios;
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t place = static_cast<size_t>(position);
    log_ratios[place] = 0;
    if (!evaluator.evaluate(adapter, chunk.hidden_of(position), chunk.logits_of(position),
                            chunk.log_sum_exp[place])) {
      continue;
    }
    evaluator.ratios(chunk.targets[place], ratios);
    log_ratios[place] = std::log(ratios[1]);
  }
}

SharedLearner::SharedLearner(const StudySetting& setting, const SharedLearnerOptions& options)
    : options_(options),
      learner_(setting.device.kernels(), setting.features, options_of(setting, options)),
      evaluator_(setting.device.kernels(), setting.hidden_dim()),
      served_(setting.device.kernels(), setting.hidden_dim(), setting.share),
      adapter_(learner_.publish()) {}

void SharedLearner::begin_task(size_t /*domain*/) {
  num_seen_ = 0;
  current_.clear();
}

// Reservoir sampling (Vitter 1985): every position is kept with the same probability.
void SharedLearner::keep(const FeedChunk& chunk) {
  if (options_.rehearsal == Rehearsal::kNone) return;
  for (size_t i = 0; i < static_cast<size_t>(chunk.num_positions); ++i) {
    ++num_seen_;
    const TokenEvidence& token = evidence_.tokens()[i];
    if (current_.size() < static_cast<size_t>(options_.kept)) {
      current_.push_back(KeptEvidence::copy_of(token));
      continue;
    }
    const uint64_t place = random_.bits(num_draws_++) % static_cast<uint64_t>(num_seen_);
    if (place < current_.size()) current_[place] = KeptEvidence::copy_of(token);
  }
}

void SharedLearner::rehearse(size_t num_new) {
  if (past_.empty()) return;
  owed_ += options_.replay_share * static_cast<double>(num_new);
  std::vector<TokenEvidence> batch;
  for (; owed_ >= 1; owed_ -= 1) {
    batch.push_back(past_[random_.bits(num_draws_++) % past_.size()].view());
  }
  learner_.learn(batch);
}

void SharedLearner::learn(const FeedChunk& chunk) {
  evidence_.build(chunk, chunk.hidden, chunk.targets, adapter_->row_tokens);
  learner_.learn(evidence_.tokens());
  keep(chunk);
  rehearse(static_cast<size_t>(chunk.num_positions));
  if (!options_.is_served) {
    adapter_ = publish_rows(learner_);
    return;
  }
  if (learner_.wants_sealing()) learner_.seal_memory();
  adapter_ = learner_.publish();
}

int32_t SharedLearner::own_target(const KeptEvidence& token) {
  std::vector<float> logits(static_cast<size_t>(token.tokens.back()) + 1, -INFINITY);
  for (const int32_t row : adapter_->row_tokens) {
    // A row's token that was no candidate had next to no probability.
    if (static_cast<size_t>(row) >= logits.size())
      logits.resize(static_cast<size_t>(row) + 1, -INFINITY);
  }
  for (size_t i = 0; i < token.tokens.size(); ++i) {
    logits[static_cast<size_t>(token.tokens[i])] = token.logits[i];
  }
  std::array<double, adapters::kMaxHeadExperts> ratios;
  ratios.fill(1.0);
  const bool is_changed = evaluator_.evaluate(*adapter_, token.hidden, logits, token.log_sum_exp);
  std::vector<double> sums;
  double sum = 0;
  for (size_t i = 0; i < token.tokens.size(); ++i) {
    if (is_changed) evaluator_.ratios(token.tokens[i], ratios);
    sum += ratios[1] * std::exp(static_cast<double>(token.logits[i]) - token.log_sum_exp);
    sums.push_back(sum);
  }
  const double draw = random_.uniform(num_draws_++) * sum;
  const auto found = std::ranges::upper_bound(sums, draw);
  const size_t place = std::min(static_cast<size_t>(found - sums.begin()), token.tokens.size() - 1);
  return token.tokens[place];
}

void SharedLearner::end_task() {
  learner_.end_task();
  for (KeptEvidence& token : current_) {
    if (options_.rehearsal == Rehearsal::kSelf) token.target = own_target(token);
    past_.push_back(std::move(token));
  }
  current_.clear();
}

void SharedLearner::begin_test() {
  num_tested_ = 0;
  served_.begin_conversation();
}

void SharedLearner::test(const FeedChunk& chunk, std::span<double> log_ratios) {
  if (!options_.is_served) {
    fast_head_log_ratios(evaluator_, *adapter_, chunk, log_ratios);
    return;
  }
  if (num_tested_ >= kConversation) begin_test();
  num_tested_ += chunk.num_positions;
  served_.predict(*adapter_, chunk, log_ratios);
}

}  // namespace ruvllm::sona
