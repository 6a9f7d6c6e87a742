// The deep loop as one call: samples in, a trained LoRA adapter and what it is measured to be worth
// out.
//
// It trains on a thread of its own at low priority, with a device made there, and stands back while
// the engine serves: before every layer of every pass it looks at the caller's ServingLoad.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/core/error.h"
#include "model/model.h"
#include "sona/deep/consolidation/lora_consolidation.h"
#include "sona/deep/loop/deep_samples.h"
#include "sona/deep/loop/serving_gate.h"
#include "sona/deep/pass/lora_parameters.h"
#include "sona/deep/training/deep_trainer.h"
#include "sona/statistics/paired_bootstrap.h"

namespace ruvllm::sona {

// Begun from what taught codes best in the facts experiment (sona/evaluation/facts).
struct DeepOptions {
  LoraShape lora = {.rank = 8, .alpha = 16.0f};
  AdamWConfig optimizer = {.peak_rate = 2e-3f};
  int32_t max_steps = 60;
  // Of each set, samples a step, and weight of their mean loss in it.
  int32_t taught_per_step = 5;
  int32_t contrast_per_step = 3;
  int32_t replay_per_step = 2;
  int32_t text_per_step = 1;
  double contrast_weight = 0.6;
  double replay_weight = 0.4;
  double text_weight = 1.0;  // of the KL term over self-generated text
  double validation_share = 0.15;
  double test_share = 0.15;
  int32_t validation_interval = 5;  // steps
  int32_t patience = 4;             // validations without improvement before the end
  int32_t max_tokens = 512;         // of one pass; longer samples are cut into windows
  uint64_t seed = 1;
  uint32_t num_threads = 1;
  std::string cpu_isa = {};  // "": the best one here
  ServingGateOptions gate = {};

  std::optional<LoraParameters> start = {};  // parameters to go on from; none: fresh ones
  // What earlier tasks hold, and how firmly; it needs `start`, whose shape it must have.
  std::shared_ptr<const LoraConsolidation> consolidation = {};
  double ewc_lambda = 0.0;
  double ewc_decay = 0.95;      // of the Fisher of earlier tasks, each task
  int32_t fisher_examples = 0;  // to estimate this task's Fisher from; 0: it is not
};

struct DeepProgress {
  int32_t step = 0;  // counted from 1
  int32_t max_steps = 0;
  double loss = 0.0;                      // of the step's samples, before the update
  std::optional<double> validation = {};  // after it, at steps that validate
  double tokens_per_s = 0.0;  // through forward and backward, time spent waiting left out
  double eta_s = 0.0;         // if no early stop comes
  double waited_s = 0.0;      // for the engine
};

struct DeepControl {
  std::function<void(const DeepProgress&)> on_step;  // on the deep loop's thread
  const std::atomic<bool>* stop = nullptr;           // looked at each step
  ServingLoad is_busy = {};
};

struct DeepResult {
  LoraParameters parameters;  // those that validated best; the last ones without validation
  // Whether any were better than those it began with; false: do not publish.
  bool improved = false;
  bool stopped = false;  // by the caller; then nothing is measured
  TrainingState ended = TrainingState::kRunning;
  int32_t num_steps = 0;
  int32_t best_step = 0;  // after which `parameters` were; 0: those it began with

  // Held-out loss before minus after, nats a token, over test samples of what was taught and
  // replayed (positive: better), and of contrast; nullopt where there is too little to measure.
  std::optional<MeasuredDifference> quality_delta = {};
  std::optional<MeasuredDifference> contrast_delta = {};
  std::optional<double> text_divergence = {};  // KL(base || after) of held-out text, nats a token

  int64_t num_tokens = 0;
  double tokens_per_s = 0.0;
  double seconds = 0.0;   // all in all
  double waited_s = 0.0;  // of these, for the engine
  // With this task's Fisher, if one was asked for; otherwise the options'.
  std::shared_ptr<const LoraConsolidation> consolidation = {};
};

// The model outlives the call, which returns when training has ended. kUnsupported for models that
// cannot be trained through (trainable.h), kInvalidArgument for options and samples that cannot be
// used.
Result<DeepResult> deep_optimize(const model::Model& model, const DeepSamples& samples,
                                 const DeepOptions& options, const DeepControl& control = {});

}  // namespace ruvllm::sona
