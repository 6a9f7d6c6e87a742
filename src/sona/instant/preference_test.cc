#include "sona/instant/preference.h"

#include <cmath>

#include <gtest/gtest.h>

namespace ruvllm::sona {
namespace {

constexpr double kStep = 1e-5;

TEST(Preference, KtoWeightIsTheSlopeOfItsLoss) {
  const KtoOptions options = {.beta = 0.3, .desirable = 1.2, .undesirable = 0.7};
  for (const bool desirable : {true, false}) {
    for (const double rho : {-30.0, -2.0, 0.0, 0.5, 7.0}) {
      const double slope = (kto_loss(options, desirable, rho + kStep, 0.4) -
                            kto_loss(options, desirable, rho - kStep, 0.4)) /
                           (2 * kStep);
      const double weight = kto_weight(options, desirable, rho, 0.4);
      EXPECT_NEAR(weight, -slope, 1e-4 * std::abs(slope) + 1e-11) << desirable << ' ' << rho;
      EXPECT_EQ(weight > 0, desirable);
    }
  }
}

TEST(Preference, KtoWeightIsBoundedAndFades) {
  const KtoOptions options;
  EXPECT_NEAR(kto_weight(options, false, 0, 0), -options.beta / 4, 1e-15);
  EXPECT_LT(std::abs(kto_weight(options, false, -200, 0)), 1e-8);
  EXPECT_LT(kto_weight(options, true, 200, 0), 1e-8);
  EXPECT_TRUE(std::isfinite(kto_weight(options, true, -1e6, 0)));
}

TEST(Preference, DpoWeightIsTheSlopeOfItsLoss) {
  for (const double margin : {-40.0, -1.0, 0.0, 3.0}) {
    const double slope =
        (dpo_loss(0.2, margin + kStep, 0.1) - dpo_loss(0.2, margin - kStep, 0.1)) / (2 * kStep);
    EXPECT_NEAR(dpo_weight(0.2, margin, 0.1), -slope, 1e-4 * std::abs(slope) + 1e-11) << margin;
  }
  EXPECT_NEAR(dpo_weight(0.2, 0, 1e6), 0.2, 1e-12);
  EXPECT_TRUE(std::isfinite(dpo_loss(0.2, 0, 1e6)));
}

}  // namespace
}  // namespace ruvllm::sona
