// How a user's learning behaves: the settings of the three loops and the optimization guide's
// presets for them.
#pragma once

#include <cstdint>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

// How the background loop joins what the subjects' learners hold into one consolidated head. Each
// result is published only where held-out text shows that it does no harm.
enum class ConsolidationStrategy : uint8_t {
  // Weighted by Fisher information, held to what was consolidated before by elastic weight
  // consolidation, then rehearsed on a reservoir of past samples: the most careful and the dearest.
  EwcMerge,
  // The plain mean of the heads' products, without rehearsal: the cheapest.
  Average,
  // Keeps the one learner with the lowest held-out loss and drops all others: the least memory.
  BestOnly,
};

// Rows of the guide's two tables.
enum class TuningUse : uint8_t { HighVariance, StableDomains, UserPersonalization };
enum class LearningPriority : uint8_t { Latency, Quality, Memory };

struct TrainingConfig {
  // Samples of lower quality are counted, not learned; 0 to 1.
  double quality_threshold = 0.5;
};

struct SonaConfig {
  // Step of the instant loop, relative: 0.01 is the rate that measured best, 0.02 twice that.
  double instant_lr = 0.01;
  TrainingConfig training = {};

  // Consolidation of a user's samples: at most so often (milliseconds), with at least so many new
  // ones; with max_pending_samples, at once.
  uint64_t background_interval_ms = 100;
  int32_t background_min_samples = 10;
  // Also the most samples that wait to be learned; more are refused and counted.
  int32_t max_pending_samples = 1000;
  ConsolidationStrategy consolidation_strategy = ConsolidationStrategy::EwcMerge;

  // The deep loop is due when the qualities of the samples learned since its last run add up to it.
  double deep_trigger_threshold = 100;
  // How strongly what was consolidated holds against what is new; 0: not at all. Any value is
  // stable. 3 kept 96 % of the gain at a quarter of the forgetting, 10 90 % at a tenth.
  double ewc_lambda = 3;

  // The guide's tables; settings that a table does not name keep their defaults.
  RUVLLM_API static SonaConfig for_use(TuningUse use);
  RUVLLM_API static SonaConfig for_priority(LearningPriority priority);
  // Those of one table put into settings chosen before.
  RUVLLM_API SonaConfig& apply(TuningUse use);
  RUVLLM_API SonaConfig& apply(LearningPriority priority);

  // kInvalidArgument names the setting, its value and what is allowed.
  RUVLLM_API Status validate() const;

  bool operator==(const SonaConfig& other) const {
    return instant_lr == other.instant_lr &&
           training.quality_threshold == other.training.quality_threshold &&
           background_interval_ms == other.background_interval_ms &&
           background_min_samples == other.background_min_samples &&
           max_pending_samples == other.max_pending_samples &&
           consolidation_strategy == other.consolidation_strategy &&
           deep_trigger_threshold == other.deep_trigger_threshold && ewc_lambda == other.ewc_lambda;
  }
};

}  // namespace ruvllm
