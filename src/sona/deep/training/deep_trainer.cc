#include "sona/deep/training/deep_trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

Status check_config(const DeepTrainingConfig& config) {
  if (config.num_steps < 1 || config.examples_per_step < 1 || config.validation_interval < 1 ||
      config.patience < 1) {
    return fail(ErrorCode::kInvalidArgument,
                "deep training with {} steps of {} examples, a validation each {} steps, patience "
                "{}: all must be at least 1",
                config.num_steps, config.examples_per_step, config.validation_interval,
                config.patience);
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
  return {};
}

int32_t longest(const std::vector<TrainingExample>& examples, int32_t at_least) {
  size_t tokens = static_cast<size_t>(at_least);
  for (const TrainingExample& example : examples) tokens = std::max(tokens, example.tokens.size());
  return static_cast<int32_t>(std::min<size_t>(tokens, INT32_MAX));
}

double total_weight(const TrainingExample& example) {
  double weight = 0.0;
  for (size_t i = 0; i < example.tokens.size(); ++i) {
    weight += std::abs(static_cast<double>(example.token_weights[i])) +
              static_cast<double>(example.kl_weight(i));
  }
  return weight;
}

}  // namespace

DeepTrainer::DeepTrainer(const DeepTrainingConfig& config, LoraParameters parameters,
                         std::unique_ptr<TrainingPass> pass, std::vector<TrainingExample> examples,
                         std::vector<TrainingExample> validation)
    : config_(config),
      parameters_(std::move(parameters)),
      best_(parameters_),
      pass_(std::move(pass)),
      examples_(std::move(examples)),
      validation_(std::move(validation)),
      optimizer_(config.optimizer, parameters_.count()),
      gradients_(parameters_.count()),
      order_(examples_.size()) {
  shuffle();
}

Result<std::unique_ptr<DeepTrainer>> DeepTrainer::create(const model::Model& model,
                                                         device::CpuDevice& device,
                                                         const DeepTrainingConfig& config,
                                                         std::vector<TrainingExample> examples,
                                                         std::vector<TrainingExample> validation) {
  RUVLLM_TRY(check_config(config));
  if (examples.empty()) {
    return fail(ErrorCode::kInvalidArgument, "deep training has no examples to learn from");
  }
  const TrainingPassOptions options = {.max_tokens = longest(validation, longest(examples, 2)),
                                       .max_rank = config.lora.rank,
                                       .attention = config.attention};
  RUVLLM_ASSIGN(std::unique_ptr<TrainingPass> pass, TrainingPass::create(model, device, options));
  for (const std::vector<TrainingExample>* set : {&examples, &validation}) {
    for (const TrainingExample& example : *set) {
      RUVLLM_TRY(pass->check(example));
      if (total_weight(example) <= 0.0) {
        return fail(ErrorCode::kInvalidArgument,
                    "a training example of {} tokens gives no token a weight",
                    example.tokens.size());
      }
    }
  }
  RUVLLM_ASSIGN(LoraParameters parameters,
                LoraParameters::create(model.config(), config.lora, config.seed));
  std::unique_ptr<DeepTrainer> trainer(new DeepTrainer(
      config, std::move(parameters), std::move(pass), std::move(examples), std::move(validation)));
  if (!trainer->validation_.empty()) {
    RUVLLM_ASSIGN(trainer->first_validation_, trainer->validate());
    trainer->best_validation_ = trainer->first_validation_;
  }
  return trainer;
}

// Fisher and Yates, with draws that depend on seed and epoch alone.
void DeepTrainer::shuffle() {
  std::iota(order_.begin(), order_.end(), size_t{0});
  const RandomStream random(config_.seed ^ RandomStream(epoch_).bits(0));
  for (size_t i = order_.size(); i > 1; --i) {
    const auto j = static_cast<size_t>(random.uniform(i) * static_cast<double>(i));
    std::swap(order_[i - 1], order_[std::min(j, i - 1)]);
  }
  ++epoch_;
  next_in_order_ = 0;
}

const TrainingExample& DeepTrainer::next_example() {
  if (next_in_order_ == order_.size()) shuffle();
  return examples_[order_[next_in_order_++]];
}

Result<ExampleLoss> DeepTrainer::validate() {
  ExampleLoss total;
  for (const TrainingExample& example : validation_) {
    RUVLLM_ASSIGN(const ExampleLoss loss, pass_->loss(example, &parameters_));
    total += loss;
  }
  return total;
}

void DeepTrainer::keep_if_best(const ExampleLoss& loss) {
  if (loss.mean() < best_validation_->mean() - config_.min_improvement) {
    best_validation_ = loss;
    best_ = parameters_;
    num_without_improvement_ = 0;
  } else if (++num_without_improvement_ >= config_.patience) {
    state_ = TrainingState::kStoppedEarly;
  }
}

Result<StepReport> DeepTrainer::step() {
  if (state_ != TrainingState::kRunning) {
    return fail(ErrorCode::kInvalidArgument, "deep training has ended after {} steps",
                num_steps_done_);
  }
  std::vector<const TrainingExample*> batch;
  double weight = 0.0;
  for (int32_t i = 0; i < config_.examples_per_step; ++i) {
    batch.push_back(&next_example());
    weight += total_weight(*batch.back());
  }
  StepReport report;
  report.rate = learning_rate(config_.optimizer, num_steps_done_, config_.num_steps);
  std::ranges::fill(gradients_, 0.0f);
  for (const TrainingExample* example : batch) {
    RUVLLM_ASSIGN(const ExampleLoss loss,
                  pass_->add_gradients(*example, parameters_, static_cast<float>(1.0 / weight),
                                       gradients_.data()));
    report.loss += loss;
  }
  report.gradient_norm = optimizer_.step(gradients_, report.rate, parameters_.values());
  if (!std::isfinite(report.gradient_norm)) {
    return fail(ErrorCode::kInvalidArgument,
                "the gradient of training step {} is not finite; use a lower learning rate",
                num_steps_done_ + 1);
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
  // Parameters, the best ones, gradients, both moments.
  return pass_->bytes() + 5 * parameters_.count() * sizeof(float);
}

}  // namespace ruvllm::sona
