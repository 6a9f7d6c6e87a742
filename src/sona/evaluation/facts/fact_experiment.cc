#include "sona/evaluation/facts/fact_experiment.h"

#include <algorithm>
#include <utility>

#include "adapters/adapter.h"
#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

constexpr int32_t kContext = 512;
constexpr int32_t kAnswerTokens = 24;

}  // namespace

Result<std::unique_ptr<FactExperiment>> FactExperiment::create(
    const model::Model& model, device::CpuDevice& device, FactInputs inputs,
    const FactExperimentOptions& options) {
  if (inputs.text_prompts.empty() || options.num_texts < 1 || options.text_tokens < 2) {
    return fail(ErrorCode::kInvalidArgument,
                "the facts experiment needs texts to draw: {} of {} tokens from {} prompts",
                options.num_texts, options.text_tokens, inputs.text_prompts.size());
  }
  std::unique_ptr<FactExperiment> experiment(new FactExperiment(model, std::move(inputs), options));
  RUVLLM_ASSIGN(
      experiment->generator_,
      LocalGenerator::create(model, device, std::min(kContext, model.config().context_length)));
  RUVLLM_TRY(experiment->prepare());
  return experiment;
}

Status FactExperiment::prepare() {
  const RandomStream seeds(options_.seed);
  for (int32_t i = 0; i < options_.num_texts; ++i) {
    const auto& prompt = inputs_.text_prompts[static_cast<size_t>(i) % inputs_.text_prompts.size()];
    RUVLLM_ASSIGN(const std::vector<int32_t> drawn,
                  generator_->generate(prompt, {.max_tokens = options_.text_tokens,
                                                .temperature = 1.0,
                                                .seed = seeds.bits(static_cast<uint64_t>(i))}));
    std::vector<int32_t> text = prompt;
    text.insert(text.end(), drawn.begin(), drawn.end());
    self_generated_.push_back(text_sample(std::move(text)));
  }
  RUVLLM_ASSIGN(base_answers_, general_answers(inputs_.text, answer_function()));
  RUVLLM_ASSIGN(base_guard_, guard_loss());
  return {};
}

AnswerFunction FactExperiment::answer_function() {
  return [this](std::span<const int32_t> prompt) {
    return generator_->generate(prompt, {.max_tokens = kAnswerTokens, .end_ids = inputs_.end_ids});
  };
}

Result<double> FactExperiment::guard_loss() {
  double sum = 0.0;
  for (const std::vector<int32_t>& guard : inputs_.guards) {
    RUVLLM_ASSIGN(const double loss, generator_->mean_nll(guard));
    sum += loss;
  }
  return inputs_.guards.empty() ? 0.0 : sum / static_cast<double>(inputs_.guards.size());
}

Result<FactUserReport> FactExperiment::run_user(uint64_t user, const DeepControl& control) {
  const CodeFacts facts = make_code_facts(user, options_.facts);
  RUVLLM_ASSIGN(DeepSamples samples, fact_samples(facts, inputs_.text, user));
  samples.self_generated = self_generated_;
  RUVLLM_ASSIGN(const DeepResult trained, deep_optimize(model_, samples, options_.deep, control));
  RUVLLM_ASSIGN(auto adapter, trained.parameters.to_adapter("facts"));
  RUVLLM_ASSIGN(auto set, adapters::AdapterSet::create({{std::move(adapter), 1.0f}}));
  generator_->use(std::move(set));
  FactUserReport report;
  const auto scores = score_facts(facts, inputs_.text, answer_function(), base_answers_);
  const auto guard = guard_loss();
  generator_->use(nullptr);
  RUVLLM_ASSIGN(report.scores, scores);
  RUVLLM_ASSIGN(report.guard_delta, guard);
  report.guard_delta -= base_guard_;
  report.quality_delta = trained.quality_delta;
  report.num_steps = trained.num_steps;
  report.best_step = trained.best_step;
  report.tokens_per_s = trained.tokens_per_s;
  report.training_s = trained.seconds;
  return report;
}

}  // namespace ruvllm::sona
