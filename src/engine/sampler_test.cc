#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"
#include "kernels/cpu/kernel_table.h"

namespace ruvllm::engine {
namespace {

constexpr int32_t kVocab = 500;

class SamplerTest : public testing::Test {
 protected:
  SamplerTest() {
    kernels::fill_generic(table_);
    const RandomStream random(1);
    for (int32_t i = 0; i < kVocab; ++i) {
      logits_.push_back(static_cast<float>(random.uniform(static_cast<uint64_t>(i)) * 12.0 - 6.0));
    }
  }

  int32_t draw(const SamplingParams& params, uint64_t counter,
               std::span<const int32_t> history = {}) {
    Sampler sampler(table_.elementwise, kVocab);
    std::vector<float> logits = logits_;
    events::TokenEvent event;
    EXPECT_TRUE(sampler.sample(params, 42, counter, history, logits.data(), event));
    last_event_ = event;
    return event.id;
  }

  // What the parameters promise, written as plainly as they read: sort everything, cut,
  // renormalize.
  std::map<int32_t, double> expected_distribution(const SamplingParams& params) const {
    std::vector<int32_t> order(kVocab);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](int32_t a, int32_t b) {
      const float logit_a = logits_[static_cast<size_t>(a)],
                  logit_b = logits_[static_cast<size_t>(b)];
      return logit_a != logit_b ? logit_a > logit_b : a < b;
    });
    const auto weight = [&](int32_t id, double temperature) {
      return std::exp((static_cast<double>(logits_[static_cast<size_t>(id)]) -
                       logits_[static_cast<size_t>(order[0])]) /
                      temperature);
    };
    if (params.top_k > 0)
      order.resize(std::min<size_t>(order.size(), static_cast<size_t>(params.top_k)));
    double total = 0.0;
    for (const int32_t id : order) total += weight(id, 1.0);
    std::vector<int32_t> kept;
    double mass = 0.0;
    for (const int32_t id : order) {
      if (!kept.empty() && (mass >= static_cast<double>(params.top_p) * total ||
                            weight(id, 1.0) < static_cast<double>(params.min_p))) {
        break;
      }
      kept.push_back(id);
      mass += weight(id, 1.0);
    }
    std::map<int32_t, double> probabilities;
    double sum = 0.0;
    for (const int32_t id : kept) sum += weight(id, static_cast<double>(params.temperature));
    for (const int32_t id : kept) {
      probabilities[id] = weight(id, static_cast<double>(params.temperature)) / sum;
    }
    return probabilities;
  }

  kernels::KernelTable table_;
  std::vector<float> logits_;
  events::TokenEvent last_event_;
};

TEST_F(SamplerTest, GreedyTakesTheLowestIdOfATie) {
  SamplingParams params;
  params.temperature = 0.0f;
  logits_[77] = logits_[300] = 20.0f;
  EXPECT_EQ(draw(params, 0), 77);
}

// Chi-square against the distribution that the parameters define.
TEST_F(SamplerTest, DrawsFromTheDefinedDistribution) {
  SamplingParams all, top_k, top_p, min_p, mixed;
  all.top_k = 0, all.top_p = 1.0f, all.min_p = 0.0f, all.temperature = 1.0f;
  top_k = all, top_k.top_k = 7;
  top_p = all, top_p.top_p = 0.6f, top_p.temperature = 1.5f;
  min_p = all, min_p.min_p = 0.3f, min_p.temperature = 0.7f;
  mixed.top_k = 30, mixed.top_p = 0.9f, mixed.min_p = 0.05f, mixed.temperature = 2.0f;
  Sampler sampler(table_.elementwise, kVocab);
  for (const SamplingParams& params : {all, top_k, top_p, min_p, mixed}) {
    const std::map<int32_t, double> expected = expected_distribution(params);
    constexpr int kDraws = RUVLLM_SANITIZED ? 4'000 : 20'000;
    std::map<int32_t, int> counts;
    for (int i = 0; i < kDraws; ++i) {
      std::vector<float> logits = logits_;
      events::TokenEvent event;
      ASSERT_TRUE(sampler.sample(params, 5, static_cast<uint64_t>(i), {}, logits.data(), event));
      ++counts[event.id];
    }
    double chi_square = 0.0, rare_expected = 0.0;
    int rare_count = 0;
    double cells = 0.0;
    for (const auto& [id, probability] : expected) {
      const double mean = probability * kDraws;
      if (mean < 8.0) {  // too rare for the approximation: pooled
        rare_expected += mean;
        rare_count += counts[id];
      } else {
        chi_square += (counts[id] - mean) * (counts[id] - mean) / mean;
        cells += 1.0;
      }
      counts.erase(id);
    }
    EXPECT_TRUE(counts.empty()) << "token " << counts.begin()->first << " was cut but drawn";
    if (rare_expected > 0.0) {
      chi_square += (rare_count - rare_expected) * (rare_count - rare_expected) / rare_expected;
      cells += 1.0;
    }
    EXPECT_LT(chi_square, cells + 5.0 * std::sqrt(2.0 * cells) + 5.0);
  }
}

TEST_F(SamplerTest, SameSeedAndPositionSameToken) {
  SamplingParams params;
  params.temperature = 2.0f;
  const int32_t first = draw(params, 3);
  EXPECT_EQ(draw(params, 3), first);
  bool differs = false;
  for (uint64_t i = 0; i < 20; ++i) differs |= draw(params, i) != first;
  EXPECT_TRUE(differs);
}

TEST_F(SamplerTest, BiasAndPenaltiesChangeLogitsAsDocumented) {
  SamplingParams params;
  params.temperature = 0.0f;
  const int32_t best = draw(params, 0);
  params.logit_bias = {{13, 100.0f}};
  EXPECT_EQ(draw(params, 0), 13);
  params.logit_bias = {{best, -100.0f}};
  const int32_t second = draw(params, 0);
  EXPECT_NE(second, best);
  // Each penalty alone pushes the best one below the second, if it was seen recently.
  params.logit_bias.clear();
  const float gap = logits_[static_cast<size_t>(best)] - logits_[static_cast<size_t>(second)];
  const std::vector<int32_t> seen_once = {best, 1, 2, 3};
  SamplingParams repetition = params, presence = params, frequency = params;
  repetition.repetition_penalty = 2.0f;
  presence.presence_penalty = gap + 0.01f;
  frequency.frequency_penalty = gap * 0.6f;
  EXPECT_EQ(draw(repetition, 0, seen_once), second);
  EXPECT_EQ(draw(presence, 0, seen_once), second);
  EXPECT_EQ(draw(frequency, 0, seen_once), best);
  const std::vector<int32_t> seen_twice = {best, best, 1};
  EXPECT_EQ(draw(frequency, 0, seen_twice), second);
  presence.penalty_last_n = 2;  // it is further back than that
  EXPECT_EQ(draw(presence, 0, seen_once), best);
  presence.penalty_last_n = -1;
  EXPECT_EQ(draw(presence, 0, seen_once), second);
}

TEST_F(SamplerTest, LogprobsAreThoseOfTheModel) {
  SamplingParams params;
  params.temperature = 0.0f;
  params.num_logprobs = 3;
  params.logit_bias = {{13, 100.0f}};  // changes the choice, not the log-probabilities
  EXPECT_EQ(draw(params, 0), 13);
  double sum = 0.0;
  for (const float logit : logits_) sum += std::exp(static_cast<double>(logit));
  EXPECT_NEAR(last_event_.logprob, static_cast<double>(logits_[13]) - std::log(sum), 1e-5);
  ASSERT_EQ(last_event_.num_top, 3);
  EXPECT_EQ(last_event_.top[0].id,
            std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
  EXPECT_GE(last_event_.top[0].logprob, last_event_.top[1].logprob);
  Sampler sampler(table_.elementwise, kVocab);
  EXPECT_NEAR(sampler.log_probability(logits_.data(), 13), static_cast<double>(last_event_.logprob),
              1e-5);
}

TEST_F(SamplerTest, NonFiniteLogitsAreRefused) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    Sampler sampler(table_.elementwise, kVocab);
    std::vector<float> logits = logits_;
    logits[499] = bad;
    events::TokenEvent event;
    EXPECT_FALSE(sampler.sample({}, 1, 0, {}, logits.data(), event));
    EXPECT_TRUE(std::isnan(sampler.log_probability(logits.data(), 0)));
  }
}

TEST(SamplingParams, EveryFieldIsRangeChecked) {
  EXPECT_TRUE(check_sampling({}, kVocab).has_value());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<SamplingParams> bad(10);
  bad[0].temperature = nan;
  bad[1].temperature = -0.1f;
  bad[2].top_k = -1;
  bad[3].top_p = 1.1f;
  bad[4].min_p = -0.5f;
  bad[5].repetition_penalty = 0.0f;
  bad[6].frequency_penalty = INFINITY;
  bad[7].penalty_last_n = -2;
  bad[8].logit_bias = {{kVocab, 1.0f}};
  bad[9].num_logprobs = 21;
  for (const SamplingParams& params : bad) {
    const Status status = check_sampling(params, kVocab);
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace ruvllm::engine
