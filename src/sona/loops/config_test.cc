#include <cmath>

#include <gtest/gtest.h>

#include <ruvllm/learning/sona_config.h>

namespace ruvllm {
namespace {

TEST(SonaConfig, DefaultsAreTheGuides) {
  const SonaConfig config;
  EXPECT_EQ(config.instant_lr, 0.01);
  EXPECT_EQ(config.training.quality_threshold, 0.5);
  EXPECT_EQ(config.background_interval_ms, 100u);
  EXPECT_EQ(config.background_min_samples, 10);
  EXPECT_EQ(config.max_pending_samples, 1000);
  EXPECT_EQ(config.consolidation_strategy, ConsolidationStrategy::EwcMerge);
  EXPECT_EQ(config.deep_trigger_threshold, 100);
  EXPECT_TRUE(config.validate().has_value());
}

TEST(SonaConfig, PresetsAreTheGuidesTables) {
  const SonaConfig variance = SonaConfig::for_use(TuningUse::HighVariance);
  EXPECT_EQ(variance.instant_lr, 0.005);
  EXPECT_EQ(variance.training.quality_threshold, 0.7);
  const SonaConfig stable = SonaConfig::for_use(TuningUse::StableDomains);
  EXPECT_EQ(stable.instant_lr, 0.02);
  EXPECT_EQ(stable.training.quality_threshold, 0.3);
  EXPECT_EQ(SonaConfig::for_use(TuningUse::UserPersonalization), SonaConfig{});

  const SonaConfig latency = SonaConfig::for_priority(LearningPriority::Latency);
  EXPECT_EQ(latency.background_interval_ms, 200u);
  EXPECT_EQ(latency.background_min_samples, 20);
  EXPECT_EQ(latency.consolidation_strategy, ConsolidationStrategy::Average);
  const SonaConfig quality = SonaConfig::for_priority(LearningPriority::Quality);
  EXPECT_EQ(quality.background_interval_ms, 50u);
  EXPECT_EQ(quality.background_min_samples, 5);
  EXPECT_EQ(quality.consolidation_strategy, ConsolidationStrategy::EwcMerge);
  SonaConfig both = SonaConfig::for_use(TuningUse::HighVariance);
  both.apply(LearningPriority::Memory);
  EXPECT_EQ(both.instant_lr, 0.005);
  EXPECT_EQ(both.background_interval_ms, 100u);
  EXPECT_EQ(both.background_min_samples, 50);
  EXPECT_EQ(both.consolidation_strategy, ConsolidationStrategy::BestOnly);
}

TEST(SonaConfig, RefusesWhatCannotWorkByName) {
  const auto refused = [](const SonaConfig& config, const char* name) {
    const Status status = config.validate();
    ASSERT_FALSE(status.has_value()) << name;
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(status.error().message().find(name), std::string::npos) << status.error().message();
  };
  refused({.instant_lr = NAN}, "instant_lr");
  refused({.instant_lr = -0.1}, "instant_lr");
  refused({.training = {.quality_threshold = 1.5}}, "quality_threshold");
  refused({.background_min_samples = 0}, "background_min_samples");
  refused({.background_min_samples = 10, .max_pending_samples = 9}, "max_pending_samples");
  refused({.deep_trigger_threshold = 0}, "deep_trigger_threshold");
  refused({.ewc_lambda = -1}, "ewc_lambda");
}

}  // namespace
}  // namespace ruvllm
