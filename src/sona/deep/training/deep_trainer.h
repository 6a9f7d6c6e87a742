// The deep loop's training run: steps of AdamW over LoRA parameters by true backpropagation, with a
// validation split that ends it early. A pull interface: the caller asks for step after step, shows
// what it returns, and stops asking to cancel.
//
// Deterministic: the same inputs and seed give the same bits for any number of threads. To run at
// low priority, call lower_thread_priority() (base/threads) on a thread of its own and make a
// device for it there: the device's threads inherit the priority.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/adapter.h"
#include "base/core/error.h"
#include "device/cpu_device.h"
#include "model/model.h"
#include "sona/deep/pass/example.h"
#include "sona/deep/pass/lora_parameters.h"
#include "sona/deep/pass/training_pass.h"
#include "sona/deep/training/adamw.h"

namespace ruvllm::sona {

struct DeepTrainingConfig {
  LoraShape lora = {};
  AdamWConfig optimizer = {};
  int32_t num_steps = 60;           // at most
  int32_t examples_per_step = 8;    // whose gradients are added up
  int32_t validation_interval = 5;  // steps between validations
  int32_t patience = 4;             // validations without improvement before the end
  double min_improvement = 1e-4;    // nats per unit of weight
  uint64_t seed = 1;
  AttentionForm attention = AttentionForm::kServed;
};

enum class TrainingState : uint8_t { kRunning, kStepsDone, kStoppedEarly };

struct StepReport {
  int32_t step = 0;  // counted from 1
  TrainingState state = TrainingState::kRunning;
  ExampleLoss loss;  // of the step's examples, before the update
  double gradient_norm = 0.0;
  float rate = 0.0f;
  std::optional<ExampleLoss> validation;  // after the update
};

class DeepTrainer {
 public:
  // Model and device outlive it. kInvalidArgument for a setting or an example that cannot be used,
  // kUnsupported for the model. Without validation examples all steps are done and the last
  // parameters kept.
  static Result<std::unique_ptr<DeepTrainer>> create(const model::Model& model,
                                                     device::CpuDevice& device,
                                                     const DeepTrainingConfig& config,
                                                     std::vector<TrainingExample> examples,
                                                     std::vector<TrainingExample> validation);

  // One step; kInvalidArgument once state() is not kRunning. On an error (a loss that is not
  // finite) the parameters are those of the step before.
  Result<StepReport> step();
  TrainingState state() const { return state_; }

  // The validation loss of the model alone, measured by create().
  const std::optional<ExampleLoss>& first_validation() const { return first_validation_; }
  const std::optional<ExampleLoss>& best_validation() const { return best_validation_; }
  // The parameters with the best validation loss, which may be the first ones, that change nothing;
  // the last ones without validation.
  const LoraParameters& best() const { return validation_.empty() ? parameters_ : best_; }
  uint64_t bytes() const;

 private:
  DeepTrainer(const DeepTrainingConfig& config, LoraParameters parameters,
              std::unique_ptr<TrainingPass> pass, std::vector<TrainingExample> examples,
              std::vector<TrainingExample> validation);

  Result<ExampleLoss> validate();
  void keep_if_best(const ExampleLoss& loss);
  const TrainingExample& next_example();
  void shuffle();

  DeepTrainingConfig config_;
  LoraParameters parameters_, best_;
  std::unique_ptr<TrainingPass> pass_;
  std::vector<TrainingExample> examples_, validation_;
  AdamW optimizer_;
  std::vector<float> gradients_;
  std::vector<size_t> order_;
  size_t next_in_order_ = 0;
  uint64_t epoch_ = 0;
  int32_t num_steps_done_ = 0;
  int32_t num_without_improvement_ = 0;
  TrainingState state_ = TrainingState::kRunning;
  std::optional<ExampleLoss> first_validation_, best_validation_;
};

}  // namespace ruvllm::sona
