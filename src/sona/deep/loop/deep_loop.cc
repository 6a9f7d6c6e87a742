#include "sona/deep/loop/deep_loop.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/system/clock.h"
#include "base/threads/start_thread.h"
#include "base/threads/thread_priority.h"
#include "device/cpu_device.h"

namespace ruvllm::sona {
namespace {

constexpr double kMicrosPerSecond = 1e6;

Status check_options(const DeepOptions& options) {
  const auto is_share = [](double share) { return share >= 0.0 && share <= 0.25; };
  if (!is_share(options.validation_share) || !is_share(options.test_share)) {
    return fail(
        ErrorCode::kInvalidArgument,
        "deep training holds out shares of {} and {} of its samples; each must be 0 to 0.25",
        options.validation_share, options.test_share);
  }
  if (!(options.ewc_decay >= 0.0 && options.ewc_decay <= 1.0) || options.fisher_examples < 0) {
    return fail(ErrorCode::kInvalidArgument,
                "deep training with an EWC decay of {} and {} examples for the Fisher: the decay "
                "must be 0 to 1, the number not negative",
                options.ewc_decay, options.fisher_examples);
  }
  return {};
}

// One run, on the deep loop's thread.
class DeepRun {
 public:
  DeepRun(const model::Model& model, const DeepSamples& samples, const DeepOptions& options,
          const DeepControl& control)
      : model_(model),
        options_(options),
        control_(control),
        split_(split_samples(samples, options.validation_share, options.test_share, options.seed)),
        gate_(control.is_busy, control.stop, options.gate),
        max_tokens_(std::min(options.max_tokens, model.config().context_length)) {}

  Result<DeepResult> run() {
    const uint64_t begin = monotonic_us();
    RUVLLM_TRY(lower_thread_priority());
    RUVLLM_ASSIGN(const auto device,
                  device::CpuDevice::create(options_.num_threads, options_.cpu_isa));
    RUVLLM_ASSIGN(const auto trainer, make_trainer(*device));
    RUVLLM_TRY(train(*trainer, begin));
    DeepResult result{.parameters = trainer->best()};
    result.improved = trainer->best_step() > 0;
    result.stopped = gate_.stopped() && trainer->state() == TrainingState::kRunning;
    result.ended = trainer->state();
    result.num_steps = num_steps_;
    result.best_step = trainer->best_step();
    result.consolidation = options_.consolidation;
    if (!result.stopped) {
      RUVLLM_TRY(measure(trainer->pass(), result));
      RUVLLM_TRY(consolidate(trainer->pass(), result));
    }
    result.num_tokens = num_tokens_;
    result.tokens_per_s = tokens_per_s();
    result.seconds = static_cast<double>(monotonic_us() - begin) / kMicrosPerSecond;
    result.waited_s = static_cast<double>(gate_.waited_us()) / kMicrosPerSecond;
    return result;
  }

 private:
  Result<std::vector<ExamplePool>> pools_of(const DeepSamples& samples) const {
    const auto likelihood = ExampleTerm::kLikelihood, divergence = ExampleTerm::kDivergence;
    std::vector<ExamplePool> pools(4);
    RUVLLM_ASSIGN(pools[0].examples, examples_of(samples.taught, likelihood, max_tokens_));
    RUVLLM_ASSIGN(pools[1].examples, examples_of(samples.contrast, likelihood, max_tokens_));
    RUVLLM_ASSIGN(pools[2].examples, examples_of(samples.replay, likelihood, max_tokens_));
    RUVLLM_ASSIGN(pools[3].examples, examples_of(samples.self_generated, divergence, max_tokens_));
    pools[0].per_step = options_.taught_per_step;
    pools[1].per_step = options_.contrast_per_step;
    pools[2].per_step = options_.replay_per_step;
    pools[3].per_step = options_.text_per_step;
    pools[1].weight = options_.contrast_weight;
    pools[2].weight = options_.replay_weight;
    pools[3].weight = options_.text_weight;
    return pools;
  }

  Result<std::unique_ptr<DeepTrainer>> make_trainer(device::CpuDevice& device) {
    RUVLLM_ASSIGN(std::vector<ExamplePool> pools, pools_of(split_.training));
    RUVLLM_ASSIGN(std::vector<ExamplePool> validation, pools_of(split_.validation));
    if (pools[0].examples.empty()) {
      return fail(ErrorCode::kInvalidArgument,
                  "deep training has no taught samples of a quality above 0");
    }
    // Validation ends a run for what was taught; the other sets alone would keep the first
    // parameters.
    if (validation[0].examples.empty()) validation.clear();
    DeepTrainingConfig config;
    config.lora = options_.lora;
    config.optimizer = options_.optimizer;
    config.num_steps = options_.max_steps;
    config.validation_interval = options_.validation_interval;
    config.patience = options_.patience;
    config.seed = options_.seed;
    config.min_tokens = longest_test_window();
    config.before_layer = [this] { gate_.wait(); };
    config.start = options_.start;
    config.consolidation = options_.consolidation;
    config.ewc_lambda = options_.ewc_lambda;
    return DeepTrainer::create(model_, device, config, std::move(pools), std::move(validation));
  }

  // The trainer's pass measures, too.
  int32_t longest_test_window() const {
    size_t tokens = 2;
    for (const std::vector<DeepSample>* set : {&split_.test.taught, &split_.test.contrast,
                                               &split_.test.replay, &split_.test.self_generated}) {
      for (const DeepSample& sample : *set) tokens = std::max(tokens, sample.tokens.size());
    }
    return static_cast<int32_t>(std::min(tokens, static_cast<size_t>(max_tokens_)));
  }

  Status train(DeepTrainer& trainer, uint64_t begin) {
    while (trainer.state() == TrainingState::kRunning && !gate_.stopped()) {
      const uint64_t step_begin = monotonic_us(), waited_before = gate_.waited_us();
      RUVLLM_ASSIGN(const StepReport report, trainer.step());
      const uint64_t now = monotonic_us();
      num_steps_ = report.step;
      num_tokens_ += report.loss.num_tokens();
      if (!report.validation) {
        timed_tokens_ += report.loss.num_tokens();
        timed_us_ += now - step_begin - (gate_.waited_us() - waited_before);
      }
      RUVLLM_TRY(model_.file().check_intact());
      if (!control_.on_step) continue;
      DeepProgress progress;
      progress.step = report.step;
      progress.max_steps = options_.max_steps;
      progress.loss = report.loss.mean;
      if (report.validation) progress.validation = report.validation->mean;
      progress.tokens_per_s = tokens_per_s();
      const double elapsed = static_cast<double>(now - begin) / kMicrosPerSecond;
      progress.eta_s = elapsed / report.step * (options_.max_steps - report.step);
      progress.waited_s = static_cast<double>(gate_.waited_us()) / kMicrosPerSecond;
      control_.on_step(progress);
    }
    return {};
  }

  // Of steps that did not validate.
  double tokens_per_s() const {
    if (timed_us_ == 0) return 0.0;
    return static_cast<double>(timed_tokens_) * kMicrosPerSecond / static_cast<double>(timed_us_);
  }

  const LoraParameters* before() const { return options_.start ? &*options_.start : nullptr; }

  Status add_differences(TrainingPass& pass, const LoraParameters& after,
                         std::span<const DeepSample> samples,
                         std::vector<PairedDifference>& differences) {
    for (const DeepSample& sample : samples) {
      RUVLLM_ASSIGN(const auto windows,
                    examples_of(std::span(&sample, 1), ExampleTerm::kLikelihood, max_tokens_));
      PairedDifference& difference = differences.emplace_back();
      for (const TrainingExample& window : windows) {
        RUVLLM_ASSIGN(const ExampleLoss old_loss, pass.loss(window, before()));
        RUVLLM_ASSIGN(const ExampleLoss new_loss, pass.loss(window, &after));
        difference.sum += old_loss.nll_sum - new_loss.nll_sum;
        difference.weight += old_loss.weight;
      }
    }
    return {};
  }

  Status measure(TrainingPass& pass, DeepResult& result) {
    std::vector<PairedDifference> taught, contrast;
    RUVLLM_TRY(add_differences(pass, result.parameters, split_.test.taught, taught));
    RUVLLM_TRY(add_differences(pass, result.parameters, split_.test.replay, taught));
    RUVLLM_TRY(add_differences(pass, result.parameters, split_.test.contrast, contrast));
    result.quality_delta = paired_bootstrap(taught, options_.seed);
    result.contrast_delta = paired_bootstrap(contrast, options_.seed);
    RUVLLM_ASSIGN(const auto texts,
                  examples_of(split_.test.self_generated, ExampleTerm::kDivergence, max_tokens_));
    ExampleLoss divergence;
    for (const TrainingExample& text : texts) {
      RUVLLM_ASSIGN(const ExampleLoss loss, pass.loss(text, &result.parameters));
      divergence += loss;
    }
    if (divergence.weight > 0.0) result.text_divergence = divergence.mean();
    return {};
  }

  Status consolidate(TrainingPass& pass, DeepResult& result) const {
    if (options_.fisher_examples == 0) return {};
    RUVLLM_ASSIGN(const auto examples,
                  examples_of(split_.training.taught, ExampleTerm::kLikelihood, max_tokens_));
    RUVLLM_ASSIGN(
        const std::vector<float> fisher,
        estimate_fisher(pass, result.parameters, examples,
                        {.max_examples = options_.fisher_examples, .seed = options_.seed}));
    LoraConsolidation consolidation;
    if (options_.consolidation != nullptr) consolidation = *options_.consolidation;
    RUVLLM_TRY(consolidation.end_task(fisher, result.parameters.values(), options_.ewc_decay));
    result.consolidation = std::make_shared<const LoraConsolidation>(std::move(consolidation));
    return {};
  }

  const model::Model& model_;
  const DeepOptions& options_;
  const DeepControl& control_;
  SampleSplit split_;
  ServingGate gate_;
  int32_t max_tokens_;
  int32_t num_steps_ = 0;
  int64_t num_tokens_ = 0, timed_tokens_ = 0;
  uint64_t timed_us_ = 0;
};

}  // namespace

Result<DeepResult> deep_optimize(const model::Model& model, const DeepSamples& samples,
                                 const DeepOptions& options, const DeepControl& control) {
  RUVLLM_TRY(check_options(options));
  std::optional<Result<DeepResult>> result;
  RUVLLM_ASSIGN(std::thread thread, start_thread([&] {
                  result.emplace(DeepRun(model, samples, options, control).run());
                }));
  thread.join();
  return std::move(*result);
}

}  // namespace ruvllm::sona
