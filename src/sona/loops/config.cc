#include "base/core/error.h"
#include <ruvllm/learning/sona_config.h>

namespace ruvllm {

SonaConfig SonaConfig::for_use(TuningUse use) {
  SonaConfig config;
  return config.apply(use);
}

SonaConfig SonaConfig::for_priority(LearningPriority priority) {
  SonaConfig config;
  return config.apply(priority);
}

SonaConfig& SonaConfig::apply(TuningUse use) {
  switch (use) {
    case TuningUse::HighVariance:
      instant_lr = 0.005;
      training.quality_threshold = 0.7;
      break;
    case TuningUse::StableDomains:
      instant_lr = 0.02;
      training.quality_threshold = 0.3;
      break;
    case TuningUse::UserPersonalization:
      instant_lr = 0.01;
      training.quality_threshold = 0.5;
      break;
  }
  return *this;
}

SonaConfig& SonaConfig::apply(LearningPriority priority) {
  switch (priority) {
    case LearningPriority::Latency:
      background_interval_ms = 200;
      background_min_samples = 20;
      consolidation_strategy = ConsolidationStrategy::Average;
      break;
    case LearningPriority::Quality:
      background_interval_ms = 50;
      background_min_samples = 5;
      consolidation_strategy = ConsolidationStrategy::EwcMerge;
      break;
    case LearningPriority::Memory:
      background_interval_ms = 100;
      background_min_samples = 50;
      consolidation_strategy = ConsolidationStrategy::BestOnly;
      break;
  }
  return *this;
}

Status SonaConfig::validate() const {
  const auto refuse = [](const char* name, double value, const char* allowed) {
    return fail(ErrorCode::kInvalidArgument, "learning: {} is {}; it must be {}", name, value,
                allowed);
  };
  // The comparisons are false for what is not a number.
  if (!(instant_lr >= 0 && instant_lr <= 1)) {
    return refuse("instant_lr", instant_lr, "from 0 to 1");
  }
  if (!(training.quality_threshold >= 0 && training.quality_threshold <= 1)) {
    return refuse("training.quality_threshold", training.quality_threshold, "from 0 to 1");
  }
  if (background_min_samples < 1) {
    return refuse("background_min_samples", background_min_samples, "1 or more");
  }
  if (max_pending_samples < background_min_samples) {
    return refuse("max_pending_samples", max_pending_samples, "background_min_samples or more");
  }
  if (!(deep_trigger_threshold > 0)) {
    return refuse("deep_trigger_threshold", deep_trigger_threshold, "above 0");
  }
  if (!(ewc_lambda >= 0)) return refuse("ewc_lambda", ewc_lambda, "0 or more");
  return {};
}

}  // namespace ruvllm
