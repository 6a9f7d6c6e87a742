// The deep loop's training run: steps of AdamW over LoRA parameters by true backpropagation, with a
// validation split that ends it early. A pull interface: the caller asks for step after step, shows
// what it returns, and stops asking to cancel.
//
// Deterministic: the same inputs and seed give the same bits for any number of threads. To run at
// low priority, call lower_thread_priority() (base/threads) on a thread of its own and make a
// device for it there: the device's threads inherit the priority.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/adapter.h"
#include "base/core/error.h"
#include "device/cpu_device.h"
#include "model/model.h"
#include "sona/deep/consolidation/lora_consolidation.h"
#include "sona/deep/pass/example.h"
#include "sona/deep/pass/lora_parameters.h"
#include "sona/deep/pass/training_pass.h"
#include "sona/deep/training/adamw.h"

namespace ruvllm::sona {

struct DeepTrainingConfig {
  LoraShape lora = {};
  AdamWConfig optimizer = {};
  int32_t num_steps = 60;           // at most
  int32_t validation_interval = 5;  // steps between validations
  int32_t patience = 4;             // validations without improvement before the end
  double min_improvement = 1e-4;    // of the validation's loss
  uint64_t seed = 1;
  AttentionForm attention = AttentionForm::kServed;
  std::function<void()> before_layer = {};  // TrainingPassOptions
  int32_t min_tokens = 2;                   // that pass() must have room for

  std::optional<LoraParameters> start = {};  // of the shape `lora`; none: fresh ones from the seed
  // Holds the parameters after every step; of `start`'s size, null: nothing does.
  std::shared_ptr<const LoraConsolidation> consolidation = {};
  double ewc_lambda = 0.0;
};

// Examples of one kind, of which every step takes some. A step's loss is the sum over pools of
// weight * (mean loss of what was taken); a validation's likewise, over all of each pool.
struct ExamplePool {
  std::vector<TrainingExample> examples = {};
  int32_t per_step = 8;
  double weight = 1.0;
};

struct PoolLoss {
  std::vector<ExampleLoss> pools = {};
  double mean = 0.0;

  int64_t num_tokens() const;
};

enum class TrainingState : uint8_t { kRunning, kStepsDone, kStoppedEarly };

struct StepReport {
  int32_t step = 0;  // counted from 1
  TrainingState state = TrainingState::kRunning;
  PoolLoss loss = {};  // of the step's examples, before the update
  double gradient_norm = 0.0;
  float rate = 0.0f;
  std::optional<PoolLoss> validation = {};  // after the update
};

class DeepTrainer {
 public:
  // Model and device outlive it. Pools without examples take no part. kInvalidArgument for a
  // setting or an example that cannot be used, kUnsupported for the model. Without validation
  // examples all steps are done and the last parameters kept.
  static Result<std::unique_ptr<DeepTrainer>> create(const model::Model& model,
                                                     device::CpuDevice& device,
                                                     const DeepTrainingConfig& config,
                                                     std::vector<ExamplePool> pools,
                                                     std::vector<ExamplePool> validation);

  // One step; kInvalidArgument once state() is not kRunning. On an error (a loss that is not
  // finite) the parameters are those of the step before.
  Result<StepReport> step();
  TrainingState state() const { return state_; }

  // The validation loss of the first parameters, measured by create().
  const std::optional<PoolLoss>& first_validation() const { return first_validation_; }
  const std::optional<PoolLoss>& best_validation() const { return best_validation_; }
  // The parameters with the best validation loss, which may be the first ones;
  // the last ones without validation.
  const LoraParameters& best() const { return validation_.empty() ? parameters_ : best_; }
  int32_t best_step() const { return validation_.empty() ? num_steps_done_ : best_step_; }
  TrainingPass& pass() { return *pass_; }  // for measurements between steps
  uint64_t bytes() const;

 private:
  DeepTrainer(const DeepTrainingConfig& config, LoraParameters parameters,
              std::unique_ptr<TrainingPass> pass, std::vector<ExamplePool> pools,
              std::vector<ExamplePool> validation);

  // Walks through a pool's examples in a new order each time.
  struct Deck {
    std::vector<size_t> order;
    size_t next = 0;
    uint64_t epoch = 0;
  };

  Result<PoolLoss> validate();
  void keep_if_best(const PoolLoss& loss);
  Status add_pool_gradients(size_t pool_idx, PoolLoss& loss);
  const TrainingExample& next_example(size_t pool_idx);
  void shuffle(size_t pool_idx);

  DeepTrainingConfig config_;
  LoraParameters parameters_, best_;
  std::unique_ptr<TrainingPass> pass_;
  std::vector<ExamplePool> pools_, validation_;
  AdamW optimizer_;
  std::vector<float> gradients_;
  std::vector<Deck> decks_;  // [pools_]
  int32_t num_steps_done_ = 0;
  int32_t best_step_ = 0;
  int32_t num_without_improvement_ = 0;
  TrainingState state_ = TrainingState::kRunning;
  std::optional<PoolLoss> first_validation_, best_validation_;
};

}  // namespace ruvllm::sona
