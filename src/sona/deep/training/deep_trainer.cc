#include "sona/deep/training/deep_trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

Status check_config(const DeepTrainingConfig& config) {
  if (config.num_steps < 1 || config.validation_interval < 1 || config.patience < 1) {
    return fail(ErrorCode::kInvalidArgument,
                "deep training with {} steps, a validation each {} steps, patience {}: all must be "
                "at least 1",
                config.num_steps, config.validation_interval, config.patience);
  }
  const AdamWConfig& optimizer = config.optimizer;
  const bool rates = optimizer.peak_rate > 0.0f && optimizer.final_rate >= 0.0f &&
                     std::isfinite(optimizer.peak_rate) && std::isfinite(optimizer.final_rate);
  const auto is_share = [](float beta) { return beta >= 0.0f && beta < 1.0f; };
  if (!rates || !is_share(optimizer.beta1) || !is_share(optimizer.beta2) ||
      !(optimizer.epsilon > 0.0f) || !(optimizer.weight_decay >= 0.0f) ||
      !(optimizer.clip_norm >= 0.0f) || optimizer.warmup_steps < 0) {
    return fail(ErrorCode::kInvalidArgument,
                "deep training: the rate {} must be more than 0, betas ({}, {}) in [0, 1), epsilon "
                "{} more than 0, and decay, clip norm and warm-up not negative",
                optimizer.peak_rate, optimizer.beta1, optimizer.beta2, optimizer.epsilon);
  }
  if (!(config.ewc_lambda >= 0.0)) {
    return fail(ErrorCode::kInvalidArgument, "EWC lambda {}: it must not be negative",
                config.ewc_lambda);
  }
  return {};
}

Status check_start(const DeepTrainingConfig& config, const LoraParameters& fresh) {
  if (config.start &&
      (config.start->count() != fresh.count() || config.start->shape() != fresh.shape())) {
    return fail(ErrorCode::kInvalidArgument,
                "the parameters to go on from have rank {} and alpha {} ({} values); rank {} and "
                "alpha {} ({} values) are to be trained",
                config.start->shape().rank, config.start->shape().alpha, config.start->count(),
                fresh.shape().rank, fresh.shape().alpha, fresh.count());
  }
  if (config.consolidation == nullptr || config.consolidation->empty()) return {};
  if (!config.start || config.consolidation->anchor().size() != fresh.count()) {
    return fail(ErrorCode::kInvalidArgument,
                "a consolidation of {} parameters needs parameters to go on from of the same "
                "number; {} are to be trained",
                config.consolidation->anchor().size(), fresh.count());
  }
  return {};
}

double total_weight(const TrainingExample& example) {
  double weight = 0.0;
  for (size_t i = 0; i < example.tokens.size(); ++i) {
    weight += std::abs(static_cast<double>(example.token_weights[i])) +
              static_cast<double>(example.kl_weight(i));
  }
  return weight;
}

Status check_pools(const TrainingPass& pass, const std::vector<ExamplePool>& pools) {
  for (const ExamplePool& pool : pools) {
    if (pool.per_step < 1 || !std::isfinite(pool.weight) || pool.weight < 0.0) {
      return fail(ErrorCode::kInvalidArgument,
                  "a pool of which a step takes {} examples with weight {}: at least 1, and a "
                  "weight that is finite and not negative",
                  pool.per_step, pool.weight);
    }
    for (const TrainingExample& example : pool.examples) {
      RUVLLM_TRY(pass.check(example));
      if (total_weight(example) <= 0.0) {
        return fail(ErrorCode::kInvalidArgument,
                    "a training example of {} tokens gives no token a weight",
                    example.tokens.size());
      }
    }
  }
  return {};
}

void drop_empty(std::vector<ExamplePool>& pools) {
  std::erase_if(pools, [](const ExamplePool& pool) { return pool.examples.empty(); });
}

int32_t longest(const std::vector<ExamplePool>& pools, int32_t at_least) {
  auto tokens = static_cast<size_t>(at_least);
  for (const ExamplePool& pool : pools) {
    for (const TrainingExample& example : pool.examples) {
      tokens = std::max(tokens, example.tokens.size());
    }
  }
  return static_cast<int32_t>(std::min<size_t>(tokens, INT32_MAX));
}

double weighted_mean(const std::vector<ExamplePool>& pools, const std::vector<ExampleLoss>& loss) {
  double mean = 0.0;
  for (size_t i = 0; i < pools.size(); ++i) mean += pools[i].weight * loss[i].mean();
  return mean;
}

}  // namespace

int64_t PoolLoss::num_tokens() const {
  int64_t tokens = 0;
  for (const ExampleLoss& pool : pools) tokens += pool.num_tokens;
  return tokens;
}

DeepTrainer::DeepTrainer(const DeepTrainingConfig& config, LoraParameters parameters,
                         std::unique_ptr<TrainingPass> pass, std::vector<ExamplePool> pools,
                         std::vector<ExamplePool> validation)
    : config_(config),
      parameters_(std::move(parameters)),
      best_(parameters_),
      pass_(std::move(pass)),
      pools_(std::move(pools)),
      validation_(std::move(validation)),
      optimizer_(config.optimizer, parameters_.count()),
      gradients_(parameters_.count()),
      decks_(pools_.size()) {
  for (size_t i = 0; i < pools_.size(); ++i) {
    decks_[i].order.resize(pools_[i].examples.size());
    shuffle(i);
  }
}

Result<std::unique_ptr<DeepTrainer>> DeepTrainer::create(const model::Model& model,
                                                         device::CpuDevice& device,
                                                         const DeepTrainingConfig& config,
                                                         std::vector<ExamplePool> pools,
                                                         std::vector<ExamplePool> validation) {
  RUVLLM_TRY(check_config(config));
  drop_empty(pools);
  drop_empty(validation);
  if (pools.empty()) {
    return fail(ErrorCode::kInvalidArgument, "deep training has no examples to learn from");
  }
  const TrainingPassOptions options = {
      .max_tokens = longest(validation, longest(pools, config.min_tokens)),
      .max_rank = config.lora.rank,
      .attention = config.attention,
      .before_layer = config.before_layer};
  RUVLLM_ASSIGN(std::unique_ptr<TrainingPass> pass, TrainingPass::create(model, device, options));
  RUVLLM_TRY(check_pools(*pass, pools));
  RUVLLM_TRY(check_pools(*pass, validation));
  RUVLLM_ASSIGN(LoraParameters parameters,
                LoraParameters::create(model.config(), config.lora, config.seed));
  RUVLLM_TRY(check_start(config, parameters));
  if (config.start) parameters = *config.start;
  std::unique_ptr<DeepTrainer> trainer(new DeepTrainer(
      config, std::move(parameters), std::move(pass), std::move(pools), std::move(validation)));
  if (!trainer->validation_.empty()) {
    RUVLLM_ASSIGN(trainer->first_validation_, trainer->validate());
    trainer->best_validation_ = trainer->first_validation_;
  }
  return trainer;
}

// Fisher and Yates, with draws that depend on seed, pool and epoch alone.
void DeepTrainer::shuffle(size_t pool_idx) {
  Deck& deck = decks_[pool_idx];
  std::iota(deck.order.begin(), deck.order.end(), size_t{0});
  const RandomStream random(config_.seed ^ RandomStream(deck.epoch).bits(pool_idx));
  for (size_t i = deck.order.size(); i > 1; --i) {
    const auto j = static_cast<size_t>(random.uniform(i) * static_cast<double>(i));
    std::swap(deck.order[i - 1], deck.order[std::min(j, i - 1)]);
  }
  ++deck.epoch;
  deck.next = 0;
}

const TrainingExample& DeepTrainer::next_example(size_t pool_idx) {
  Deck& deck = decks_[pool_idx];
  if (deck.next == deck.order.size()) shuffle(pool_idx);
  return pools_[pool_idx].examples[deck.order[deck.next++]];
}

Result<PoolLoss> DeepTrainer::validate() {
  PoolLoss total;
  for (const ExamplePool& pool : validation_) {
    ExampleLoss& sum = total.pools.emplace_back();
    for (const TrainingExample& example : pool.examples) {
      RUVLLM_ASSIGN(const ExampleLoss loss, pass_->loss(example, &parameters_));
      sum += loss;
    }
  }
  total.mean = weighted_mean(validation_, total.pools);
  return total;
}

void DeepTrainer::keep_if_best(const PoolLoss& loss) {
  if (loss.mean < best_validation_->mean - config_.min_improvement) {
    best_validation_ = loss;
    best_ = parameters_;
    best_step_ = num_steps_done_;
    num_without_improvement_ = 0;
  } else if (++num_without_improvement_ >= config_.patience) {
    state_ = TrainingState::kStoppedEarly;
  }
}

Status DeepTrainer::add_pool_gradients(size_t pool_idx, PoolLoss& loss) {
  const ExamplePool& pool = pools_[pool_idx];
  std::vector<const TrainingExample*> batch;
  double weight = 0.0;
  for (int32_t i = 0; i < pool.per_step; ++i) {
    batch.push_back(&next_example(pool_idx));
    weight += total_weight(*batch.back());
  }
  ExampleLoss& sum = loss.pools.emplace_back();
  for (const TrainingExample* example : batch) {
    RUVLLM_ASSIGN(
        const ExampleLoss each,
        pass_->add_gradients(*example, parameters_, static_cast<float>(pool.weight / weight),
                             gradients_.data()));
    sum += each;
  }
  return {};
}

Result<StepReport> DeepTrainer::step() {
  if (state_ != TrainingState::kRunning) {
    return fail(ErrorCode::kInvalidArgument, "deep training has ended after {} steps",
                num_steps_done_);
  }
  StepReport report;
  report.rate = learning_rate(config_.optimizer, num_steps_done_, config_.num_steps);
  std::ranges::fill(gradients_, 0.0f);
  for (size_t i = 0; i < pools_.size(); ++i) RUVLLM_TRY(add_pool_gradients(i, report.loss));
  report.loss.mean = weighted_mean(pools_, report.loss.pools);
  report.gradient_norm = optimizer_.step(gradients_, report.rate, parameters_.values());
  if (!std::isfinite(report.gradient_norm)) {
    return fail(ErrorCode::kInvalidArgument,
                "the gradient of training step {} is not finite; use a lower learning rate",
                num_steps_done_ + 1);
  }
  if (config_.consolidation != nullptr) {
    config_.consolidation->hold(config_.ewc_lambda, optimizer_.step_sizes(), parameters_.values());
  }
  report.step = ++num_steps_done_;
  const bool is_last = num_steps_done_ == config_.num_steps;
  if (is_last) state_ = TrainingState::kStepsDone;
  if (!validation_.empty() && (is_last || num_steps_done_ % config_.validation_interval == 0)) {
    RUVLLM_ASSIGN(report.validation, validate());
    keep_if_best(*report.validation);
  }
  report.state = state_;
  return report;
}

uint64_t DeepTrainer::bytes() const {
  // Parameters, the best ones, gradients, both moments, step sizes.
  return pass_->bytes() + 6 * parameters_.count() * sizeof(float);
}

}  // namespace ruvllm::sona
