// The facts experiment: users teach codes by correction, the deep loop trains an adapter for each,
// and questions without any code in the context show what it knows and what it spoiled.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "device/cpu_device.h"
#include "model/model.h"
#include "sona/deep/loop/deep_loop.h"
#include "sona/evaluation/facts/code_facts.h"
#include "sona/evaluation/facts/fact_scores.h"
#include "sona/evaluation/facts/local_generator.h"

namespace ruvllm::sona {

struct FactExperimentOptions {
  CodeFactsOptions facts = {};
  DeepOptions deep = {};
  int32_t num_texts = 24;    // drawn from the model itself, for the KL term
  int32_t text_tokens = 96;  // of each
  uint64_t seed = 1;
};

struct FactInputs {
  FactText text = {};
  std::vector<std::vector<int32_t>> text_prompts = {};  // that the drawn texts begin with, in turn
  std::vector<std::vector<int32_t>> guards = {};        // general texts whose loss must not rise
  std::vector<int32_t> end_ids = {};                    // of answers
};

struct FactUserReport {
  FactScores scores = {};
  double guard_delta = 0.0;  // loss of the guards after minus before, nats a token, mean over them
  std::optional<MeasuredDifference> quality_delta = {};
  int32_t num_steps = 0;
  int32_t best_step = 0;
  double tokens_per_s = 0.0;
  double training_s = 0.0;
};

class FactExperiment {
 public:
  // Draws the texts and measures the model alone. Model and device outlive it; the device answers
  // questions, training makes its own.
  static Result<std::unique_ptr<FactExperiment>> create(const model::Model& model,
                                                        device::CpuDevice& device,
                                                        FactInputs inputs,
                                                        const FactExperimentOptions& options);

  Result<FactUserReport> run_user(uint64_t user, const DeepControl& control = {});
  const std::vector<DeepSample>& self_generated() const { return self_generated_; }

 private:
  FactExperiment(const model::Model& model, FactInputs inputs, const FactExperimentOptions& options)
      : model_(model), inputs_(std::move(inputs)), options_(options) {}

  Status prepare();
  Result<double> guard_loss();
  AnswerFunction answer_function();

  const model::Model& model_;
  FactInputs inputs_;
  FactExperimentOptions options_;
  std::unique_ptr<LocalGenerator> generator_;
  std::vector<DeepSample> self_generated_;
  std::vector<std::string> base_answers_;
  double base_guard_ = 0.0;
};

}  // namespace ruvllm::sona
