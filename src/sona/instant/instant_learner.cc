#include "sona/instant/instant_learner.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "adapters/head/expert_weights.h"
#include "base/core/check.h"

namespace ruvllm::sona {

using adapters::HeadAdapter;

namespace {

// Rows shorter than this have learned next to nothing.
constexpr double kLeastFolded = 0.1;

int32_t highest_token(const HeadAdapter& adapter) {
  int32_t highest = adapter.row_tokens.empty() ? 0 : adapter.row_tokens.back();
  const auto take = [&](const int32_t* targets, size_t count) {
    for (size_t i = 0; i < count; ++i) highest = std::max(highest, targets[i]);
  };
  for (const auto& segment : adapter.memory.segments) {
    take(segment->targets.data(), segment->targets.size());
  }
  for (const auto& chunk : adapter.memory.chunks) {
    const bool is_last = chunk == adapter.memory.chunks.back();
    take(chunk->targets.get(), static_cast<size_t>(is_last ? adapter.memory.num_in_last_chunk
                                                           : adapters::MemoryChunk::kCapacity));
  }
  for (const auto& memory : adapter.corrections) {
    take(memory->targets.data(), memory->targets.size());
  }
  return highest;
}

}  // namespace

InstantLearner::InstantLearner(const kernels::KernelTable& kernels,
                               std::shared_ptr<const adapters::HeadFeatures> features,
                               InstantOptions options)
    : features_(std::move(features)),
      options_(std::move(options)),
      products_(kernels, features_->padded_dim(), FastHeadLearner::kMaxBatch),
      rows_(options_.max_rows),
      memory_(kernels, features_->padded_dim()),
      corrections_(kernels, options_.corrections, features_->padded_dim()),
      evaluator_(kernels, features_->hidden_dim()),
      kto_reference_(options_.fast_heads.size()) {
  RUVLLM_CHECK(options_.max_rows >= FastHeadLearner::kMaxBatch);
  RUVLLM_CHECK(1 + options_.fast_heads.size() + options_.memory_experts.size() <=
               adapters::kMaxHeadExperts - options_.hidden_spaces.size());
  for (const FastHeadOptions& head : options_.fast_heads) {
    fast_heads_.emplace_back(head, features_->padded_dim());
  }
  if (options_.head_rows == nullptr) options_.hidden_spaces.clear();
  for (const HiddenSpaceOptions& hidden : options_.hidden_spaces) {
    hidden_spaces_.emplace_back(hidden, features_->hidden_dim(), features_->padded_dim(),
                                options_.head_rows);
  }
}

FeatureBatch InstantLearner::next_batch(std::span<const TokenEvidence>& tokens,
                                        LearnReport& report) {
  const size_t padded_dim = static_cast<size_t>(features_->padded_dim());
  const size_t width = padded_dim + 1;
  batch_.clear();
  phi_.resize(FastHeadLearner::kMaxBatch * width);
  while (!tokens.empty() && batch_.size() < FastHeadLearner::kMaxBatch) {
    const TokenEvidence& token = tokens.front();
    tokens = tokens.subspan(1);
    const std::span<float> phi = std::span(phi_).subspan(batch_.size() * width, width);
    if (!is_consistent(token, features_->hidden_dim()) ||
        !features_->unit(token.hidden, phi.first(padded_dim))) {
      ++report.num_refused;
      continue;
    }
    phi[padded_dim] = adapters::HeadFeatures::kBias;
    products_.set_input(static_cast<int32_t>(batch_.size()), phi.first(padded_dim));
    batch_.push_back(token);
    const RowTable::Taken taken = rows_.take(token.target);
    if (taken.is_new) start_row(taken, token.target);
  }
  return {batch_, phi_, rows_.entries(), rows_.num_rows()};
}

void InstantLearner::learn_weighted(std::span<const TokenEvidence> tokens,
                                    std::span<const double> weights, bool is_text,
                                    LearnReport& report) {
  const size_t padded_dim = static_cast<size_t>(features_->padded_dim());
  while (!tokens.empty()) {
    const FeatureBatch batch = next_batch(tokens, report);
    if (batch.tokens.empty()) continue;
    for (size_t k = 0; k < fast_heads_.size(); ++k) {
      const double log_ratio = fast_heads_[k].learn(batch, products_, weights[k]);
      if (k == 0) report.log_ratio += log_ratio;
    }
    if (is_text) {
      for (HiddenSpaceLearner& hidden : hidden_spaces_) hidden.learn(batch);
    }
    report.num_learned += static_cast<int64_t>(batch.tokens.size());
    const bool remembers = is_text && !options_.memory_experts.empty();
    for (size_t t = 0; remembers && t < batch.tokens.size(); ++t) {
      if (batch.tokens[t].weight <= 0) continue;
      memory_.append(std::span(phi_).subspan(t * (padded_dim + 1), padded_dim),
                     batch.tokens[t].target);
    }
    restart_harmful(report);
  }
}

void InstantLearner::restart_harmful(LearnReport& report) {
  for (FastHeadLearner& head : fast_heads_) {
    if (head.harm().measured <= options_.max_harm) continue;
    head.clear();
    for (int32_t slot = 0; slot < rows_.num_rows(); ++slot) head.start_row(slot);
    ++report.num_restarts;
  }
  for (HiddenSpaceLearner& hidden : hidden_spaces_) {
    if (hidden.harm().measured <= options_.max_harm) continue;
    hidden.clear();
    ++report.num_restarts;
  }
}

void InstantLearner::start_row(const RowTable::Taken& taken, int32_t token) {
  // The row of a token points to where that token came: as a state it goes on saying so.
  if (taken.evicted >= 0 && !fast_heads_.empty() && !options_.memory_experts.empty()) {
    const size_t padded_dim = static_cast<size_t>(features_->padded_dim());
    std::span<const float> row = fast_heads_.front().row(taken.slot).first(padded_dim);
    std::vector<float> unit(row.begin(), row.end());
    double squares = 0;
    for (const float x : unit) squares += static_cast<double>(x) * static_cast<double>(x);
    const double norm = std::sqrt(squares);
    if (norm >= kLeastFolded) {
      for (float& x : unit) x = static_cast<float>(static_cast<double>(x) / norm);
      memory_.append(unit, taken.evicted);
    }
  }
  for (FastHeadLearner& head : fast_heads_) head.start_row(taken.slot);
  for (HiddenSpaceLearner& hidden : hidden_spaces_) hidden.start_row(taken.slot, token);
}

void InstantLearner::seal_memory() {
  memory_.seal();
  if (options_.max_bytes == 0 || bytes() <= options_.max_bytes) return;
  const size_t others = bytes() - memory_.bytes();
  const size_t left = options_.max_bytes > others ? options_.max_bytes - others : 0;
  const double share = static_cast<double>(left) / static_cast<double>(memory_.bytes());
  memory_.consolidate(
      static_cast<int64_t>(share * static_cast<double>(memory_.view().num_states())));
}

size_t InstantLearner::bytes() const {
  size_t bytes = memory_.bytes() + corrections_.bytes() +
                 rows_.entries().size() * (sizeof(RowTable::Entry) + sizeof(uint64_t));
  for (const FastHeadLearner& head : fast_heads_) bytes += head.bytes();
  for (const HiddenSpaceLearner& hidden : hidden_spaces_) bytes += hidden.bytes();
  return bytes;
}

LearnReport InstantLearner::learn(std::span<const TokenEvidence> tokens) {
  LearnReport report;
  learn_weighted(tokens, std::vector<double>(fast_heads_.size(), 1.0), true, report);
  return report;
}

void InstantLearner::teach_states(std::span<const TokenEvidence> tokens) {
  std::vector<float> unit(static_cast<size_t>(features_->padded_dim()));
  for (const TokenEvidence& token : tokens) {
    if (token.weight <= 0 || !is_consistent(token, features_->hidden_dim()) ||
        !features_->unit(token.hidden, unit)) {
      continue;
    }
    const auto target = std::ranges::lower_bound(token.candidate_tokens, token.target);
    const auto place = static_cast<size_t>(target - token.candidate_tokens.begin());
    const float logit = token.candidate_logits[place];
    if (std::exp(static_cast<double>(logit) - token.log_sum_exp) > options_.corrections.known) {
      corrections_.withdraw(unit, token.target);
    } else {
      corrections_.teach(unit, token.target);
    }
  }
}

void InstantLearner::evaluate_at(const HeadAdapter& adapter, const TokenEvidence& token) {
  const int32_t last = std::max(highest_token(adapter), token.candidate_tokens.back());
  constexpr float kUnknown = -std::numeric_limits<float>::infinity();
  logits_.assign(static_cast<size_t>(last) + 1, kUnknown);
  for (size_t i = 0; i < token.candidate_tokens.size(); ++i) {
    logits_[static_cast<size_t>(token.candidate_tokens[i])] = token.candidate_logits[i];
  }
  evaluator_.evaluate(adapter, token.hidden, logits_, token.log_sum_exp);
}

// What base and corrections alone give to the target is more than half of all: most tokens need no
// more than this.
bool InstantLearner::is_surely_first(const HeadAdapter& corrections, const TokenEvidence& token) {
  const adapters::ExpertWeights weights(prior());
  evaluate_at(corrections, token);
  const adapters::CorrectionSays said = evaluator_.correction(token.target);
  const double open = weights.trust() * said.gate;
  const float logit = logits_[static_cast<size_t>(token.target)];
  const double base = std::exp(static_cast<double>(logit) - token.log_sum_exp);
  return base * ((1.0 - open) * weights.weight(0) + open * said.ratio) > 0.5;
}

bool InstantLearner::is_first(const HeadAdapter& adapter, const TokenEvidence& token) {
  evaluate_at(adapter, token);
  evaluator_.adjust(adapters::ExpertWeights(adapter.prior), logits_);
  const auto best = std::ranges::max_element(logits_);
  return best - logits_.begin() == token.target;
}

LearnReport InstantLearner::learn_correction(std::span<const TokenEvidence> tokens) {
  LearnReport report = learn(tokens);
  teach_states(tokens);
  HeadAdapter corrections;
  corrections.features = features_;
  corrections.prior = {1.0};
  if (auto taught = corrections_.view()) corrections.corrections.push_back(std::move(taught));
  std::vector<TokenEvidence> missed;
  for (const TokenEvidence& token : tokens) {
    if (token.weight > 0 && is_consistent(token, features_->hidden_dim()) &&
        !is_surely_first(corrections, token)) {
      missed.push_back(token);
    }
  }
  for (int step = 0; !missed.empty(); ++step) {
    const std::shared_ptr<const HeadAdapter> adapter = assemble();
    std::erase_if(missed, [&](const TokenEvidence& token) { return is_first(*adapter, token); });
    if (missed.empty() || step == kMaxCorrectionSteps) break;
    LearnReport further;
    learn_weighted(missed, std::vector<double>(fast_heads_.size(), 1.0), false, further);
    report.num_restarts += further.num_restarts;
  }
  report.num_not_first = static_cast<int64_t>(missed.size());
  return report;
}

std::vector<double> InstantLearner::log_ratios(std::span<const TokenEvidence> tokens) {
  std::vector<double> sums(fast_heads_.size());
  LearnReport unused;
  while (!tokens.empty()) {
    const FeatureBatch batch = next_batch(tokens, unused);
    if (batch.tokens.empty()) continue;
    for (size_t k = 0; k < fast_heads_.size(); ++k) {
      sums[k] += fast_heads_[k].log_ratio(batch, products_);
    }
  }
  return sums;
}

LearnReport InstantLearner::learn_rating(std::span<const TokenEvidence> response,
                                         bool is_desirable) {
  const std::vector<double> ratios = log_ratios(response);
  std::vector<double> weights(fast_heads_.size());
  ++num_ratings_;
  for (size_t k = 0; k < fast_heads_.size(); ++k) {
    weights[k] = kto_weight(options_.kto, is_desirable, ratios[k], kto_reference_[k]);
    kto_reference_[k] += (ratios[k] - kto_reference_[k]) / static_cast<double>(num_ratings_);
  }
  LearnReport report;
  learn_weighted(response, weights, false, report);
  return report;
}

LearnReport InstantLearner::learn_pair(std::span<const TokenEvidence> chosen,
                                       std::span<const TokenEvidence> rejected) {
  const std::vector<double> chosen_ratios = log_ratios(chosen);
  const std::vector<double> rejected_ratios = log_ratios(rejected);
  std::vector<double> weights(fast_heads_.size());
  for (size_t k = 0; k < fast_heads_.size(); ++k) {
    weights[k] = dpo_weight(options_.dpo_beta, chosen_ratios[k], rejected_ratios[k]);
  }
  LearnReport report;
  learn_weighted(chosen, weights, false, report);
  for (double& weight : weights) weight = -weight;
  learn_weighted(rejected, weights, false, report);
  return report;
}

std::shared_ptr<HeadAdapter> InstantLearner::assemble() {
  auto adapter = std::make_shared<HeadAdapter>();
  adapter->features = features_;
  adapter->row_tokens.reserve(rows_.entries().size());
  for (const RowTable::Entry& entry : rows_.entries()) adapter->row_tokens.push_back(entry.token);
  for (const FastHeadLearner& head : fast_heads_) {
    adapter->fast_heads.push_back(head.snapshot(rows_.entries()));
  }
  for (const HiddenSpaceLearner& hidden : hidden_spaces_) {
    adapter->hidden_spaces.push_back(hidden.snapshot(rows_.entries()));
  }
  adapter->memory = memory_.view();
  adapter->memory_experts = options_.memory_experts;
  if (auto taught = corrections_.view()) adapter->corrections.push_back(std::move(taught));
  adapter->prior = prior();
  return adapter;
}

void InstantLearner::set_row(int32_t token, std::span<const float> weights) {
  const RowTable::Taken taken = rows_.take(token);
  if (taken.is_new) start_row(taken, token);
  for (FastHeadLearner& head : fast_heads_) head.set_row(taken.slot, weights);
}

std::vector<double> InstantLearner::prior() const {
  const size_t num_others =
      fast_heads_.size() + options_.memory_experts.size() + hidden_spaces_.size();
  std::vector<double> prior(1 + num_others,
                            (1.0 - options_.base_prior) / static_cast<double>(num_others));
  prior[0] = options_.base_prior;
  return prior;
}

std::shared_ptr<const HeadAdapter> InstantLearner::publish() {
  std::shared_ptr<HeadAdapter> adapter = assemble();
  adapter->generation = ++generation_;
  return adapter;
}

bool InstantLearner::is_reference_consistent() const {
  return kto_reference_.size() == fast_heads_.size() &&
         std::ranges::all_of(kto_reference_, [](double value) { return std::isfinite(value); });
}

void InstantLearner::read_head_rows() {
  for (HiddenSpaceLearner& hidden : hidden_spaces_) {
    for (const RowTable::Entry& entry : rows_.entries()) hidden.start_row(entry.slot, entry.token);
  }
}

bool InstantLearner::fits_together() const {
  return std::ranges::all_of(fast_heads_, [&](const FastHeadLearner& head) {
    return head.num_slots() == rows_.num_rows();
  });
}

void InstantLearner::end_task() {
  for (FastHeadLearner& head : fast_heads_) head.end_task();
}

void InstantLearner::clear() {
  rows_.clear();
  memory_.clear();
  corrections_.clear();
  for (FastHeadLearner& head : fast_heads_) head.clear();
  for (HiddenSpaceLearner& hidden : hidden_spaces_) hidden.clear();
  std::ranges::fill(kto_reference_, 0.0);
  num_ratings_ = 0;
}

}  // namespace ruvllm::sona
