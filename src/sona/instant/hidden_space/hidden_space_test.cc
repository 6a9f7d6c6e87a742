#include <cmath>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/head/evaluator.h"
#include "adapters/head/expert_weights.h"
#include "device/cpu_device.h"
#include "sona/instant/hidden_space/hidden_gradient.h"
#include "sona/instant/hidden_space/hidden_space_learner.h"
#include "sona/instant/instant_learner.h"
#include "sona/instant/toy_model.h"

namespace ruvllm::sona {
namespace {

constexpr size_t kHidden = ToyModel::kHidden;
constexpr size_t kVocab = ToyModel::kVocab;
constexpr size_t kWidth = 65;  // padded to 64, and the constant

// Rows of an output matrix that tells subjects' tokens apart.
class RandomRows final : public adapters::HeadRows {
 public:
  RandomRows() {
    const RandomStream random(77);
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = static_cast<float>(0.8 * random.uniform(i) - 0.4);
    }
  }
  int32_t num_tokens() const override { return ToyModel::kVocab; }
  void read(int32_t token, std::span<float> row) const override {
    std::copy_n(weights.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(token) * kHidden),
                row.size(), row.begin());
  }

  std::vector<float> weights = std::vector<float>(kVocab * kHidden);
};

// All tokens have rows, so that the loss over the vocabulary is the learner's.
class HiddenSpaceTest : public testing::Test {
 protected:
  HiddenSpaceTest() : rows_(std::make_shared<RandomRows>()) {
    for (int32_t v = 0; v < ToyModel::kVocab; ++v) entries_.push_back({v, v});
  }

  HiddenSpaceLearner learner(const HiddenSpaceOptions& options) {
    HiddenSpaceLearner learner(options, ToyModel::kHidden, model_.features()->padded_dim(), rows_);
    for (int32_t v = 0; v < ToyModel::kVocab; ++v) learner.start_row(v, v);
    return learner;
  }

  double learn(HiddenSpaceLearner& learner, std::span<const ToyToken> tokens) {
    std::vector<float> phi(tokens.size() * kWidth);
    for (size_t t = 0; t < tokens.size(); ++t) {
      const std::span<float> row = std::span(phi).subspan(t * kWidth, kWidth);
      model_.features()->unit(tokens[t].hidden, row.first(kWidth - 1));
      row[kWidth - 1] = adapters::HeadFeatures::kBias;
    }
    return learner.learn({model_.evidence(tokens), phi, entries_, ToyModel::kVocab});
  }

  // -log p' of the target by its definition, in double.
  double loss(const ToyToken& token, const std::vector<double>& up,
              const std::vector<double>& down) const {
    std::vector<float> unit(kWidth - 1);
    model_.features()->unit(token.hidden, unit);
    const size_t rank = up.size() / kHidden;
    std::vector<double> u(rank);
    double squares = 0;
    for (size_t k = 0; k < rank; ++k) {
      u[k] = down[k * kWidth + kWidth - 1] * 0.5;
      for (size_t j = 0; j + 1 < kWidth; ++j) {
        u[k] += down[k * kWidth + j] * static_cast<double>(unit[j]);
      }
      squares += u[k] * u[k];
    }
    double sum = 0;
    double at_target = 0;
    for (size_t v = 0; v < kVocab; ++v) {
      double z = static_cast<double>(token.logits[v]);
      for (size_t k = 0; k < rank; ++k) {
        for (size_t j = 0; j < kHidden; ++j) {
          z += static_cast<double>(rows_->weights[v * kHidden + j]) * up[k * kHidden + j] * u[k] /
               std::sqrt(squares);
        }
      }
      sum += std::exp(z);
      if (static_cast<int32_t>(v) == token.target) at_target = z;
    }
    return std::log(sum) - at_target;
  }

  ToyModel model_;
  std::shared_ptr<RandomRows> rows_;
  std::vector<RowTable::Entry> entries_;
};

std::vector<double> widened(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

// What a step of rate 1 took away is the gradient.
TEST_F(HiddenSpaceTest, GradientsOfBothFactorsAgreeWithFiniteDifferences) {
  constexpr double kStep = 1e-5;
  for (const int32_t rank : {1, 3, 8}) {
    HiddenSpaceLearner taught = learner({.rank = rank,
                                         .rate = 1,
                                         .down_rate = 1,
                                         .most_probable = ToyModel::kVocab,
                                         .max_shift = 1000});
    learn(taught, model_.draw_many(20));  // C is 0 before
    const std::vector<double> up = widened(taught.weights().up);
    const std::vector<double> down = widened(taught.weights().down);
    const ToyToken token = model_.draw();
    learn(taught, std::span(&token, 1));
    const auto check = [&](bool is_up, const std::vector<float>& after) {
      const std::vector<double>& before = is_up ? up : down;
      double difference = 0;
      double norm = 0;
      for (size_t i = 0; i < before.size(); i += 3) {
        std::vector<double> moved = before;
        moved[i] = before[i] + kStep;
        const double above = is_up ? loss(token, moved, down) : loss(token, up, moved);
        moved[i] = before[i] - kStep;
        const double below = is_up ? loss(token, moved, down) : loss(token, up, moved);
        const double slope = (above - below) / (2 * kStep);
        difference += std::pow(before[i] - static_cast<double>(after[i]) - slope, 2);
        norm += slope * slope;
      }
      if (rank == 1 && !is_up) {  // u is 1 whatever D
        EXPECT_LT(difference, 1e-10);
      } else {
        EXPECT_LE(std::sqrt(difference / norm), 1e-4) << rank << is_up;
      }
    };
    check(true, taught.weights().up);
    check(false, taught.weights().down);
  }
}

TEST_F(HiddenSpaceTest, DownIsOrthonormalAndTheFirstFeatureConstant) {
  const HiddenSpaceLearner fresh = learner({.rank = 8});
  const std::vector<float>& down = fresh.weights().down;
  for (size_t a = 0; a < 8; ++a) {
    for (size_t b = 0; b < a; ++b) {
      double product = 0;
      for (size_t j = 0; j < kWidth; ++j) {
        product +=
            static_cast<double>(down[a * kWidth + j]) * static_cast<double>(down[b * kWidth + j]);
      }
      EXPECT_NEAR(product, 0, 1e-6);
    }
  }
  EXPECT_EQ(down[kWidth - 1], 1.0f);
  EXPECT_EQ(std::ranges::count(down.begin(), down.begin() + kWidth, 0.0f), kWidth - 1);
}

TEST_F(HiddenSpaceTest, StaysInItsBallAndBelowItsCertificate) {
  HiddenSpaceLearner taught = learner({.rank = 4, .rate = 20, .max_shift = 1});
  HiddenSpaceLearner gentle = learner({.rank = 4, .rate = 0.3, .most_probable = 8});
  for (int i = 0; i < 40; ++i) {
    std::vector<ToyToken> tokens = model_.draw_many(8);
    for (ToyToken& token : tokens) token.target = model_.below(ToyModel::kVocab);
    learn(taught, tokens);
    learn(gentle, tokens);
    ASSERT_LE(gentle.harm().measured, gentle.harm().certificate + 1e-6) << i;
  }
  const adapters::HiddenSpaceAdapter adapter = taught.snapshot(entries_);
  double furthest = 0;
  for (const ToyToken& token : model_.draw_many(100)) {
    std::vector<float> unit(kWidth - 1), features(4), hidden(kHidden);
    model_.features()->unit(token.hidden, unit);
    hidden_features(adapter, unit, features);
    apply_hidden_space(adapter, features, hidden);
    for (size_t v = 0; v < kVocab; ++v) {
      double shift = 0;
      double projected = 0;
      for (size_t j = 0; j < kHidden; ++j) {
        shift += static_cast<double>(rows_->weights[v * kHidden + j] * hidden[j]);
      }
      for (size_t k = 0; k < 4; ++k) {
        projected += static_cast<double>(features[k] * adapter.projected[k * kVocab + v]);
      }
      EXPECT_NEAR(shift, projected, 1e-4);  // what is served is w . C u
      furthest = std::max(furthest, std::abs(shift));
    }
  }
  EXPECT_LE(furthest, 1.001);
  EXPECT_GT(furthest, 0.1);
}

TEST_F(HiddenSpaceTest, TopTokensGiveNearlyTheWholeGradient) {
  double kept = 0;
  double cosines = 0;
  for (int i = 0; i < 20; ++i) {
    const ToyToken token = model_.draw();
    std::vector<float> dense(kHidden), top(kHidden), all(kHidden);
    hidden_gradient_dense(*rows_, token.logits, token.log_sum_exp, token.target, dense);
    kept += hidden_gradient_top(*rows_, token.logits, token.log_sum_exp, token.target, 32, top);
    EXPECT_NEAR(hidden_gradient_top(*rows_, token.logits, token.log_sum_exp, token.target,
                                    ToyModel::kVocab, all),
                1, 1e-6);
    double product = 0;
    double a = 0;
    double b = 0;
    for (size_t j = 0; j < kHidden; ++j) {
      EXPECT_NEAR(all[j], dense[j], 1e-6f);
      product += static_cast<double>(top[j] * dense[j]);
      a += static_cast<double>(top[j] * top[j]);
      b += static_cast<double>(dense[j] * dense[j]);
    }
    cosines += product / std::sqrt(a * b);
  }
  EXPECT_GT(kept / 20, 0.8);
  EXPECT_GT(cosines / 20, 0.98);
}

TEST_F(HiddenSpaceTest, IsAnExpertOfTheServedMixture) {
  const device::KernelChoice kernels = *device::choose_kernels("");
  InstantLearner taught(kernels.table, model_.features(),
                        {.fast_heads = {},
                         .memory_experts = {},
                         .hidden_spaces = {{.rank = 16, .rate = 0.5}},
                         .head_rows = rows_});
  for (int i = 0; i < 60; ++i) taught.learn(model_.evidence(model_.draw_many(32)));
  const std::shared_ptr<const adapters::HeadAdapter> adapter = taught.publish();
  ASSERT_EQ(adapter->num_experts(), 2u);
  adapters::HeadEvaluator evaluator(kernels.table, ToyModel::kHidden);
  adapters::ExpertWeights weights(adapter->prior);
  double gain = 0;
  for (int i = 0; i < 500; ++i) {
    const ToyToken token = model_.draw();
    ASSERT_TRUE(evaluator.evaluate(*adapter, token.hidden, token.logits, token.log_sum_exp));
    gain += evaluator.update(weights, token.target);
    std::vector<double> ratio(2);
    double sum = 0;
    for (int32_t v = 0; v < ToyModel::kVocab; ++v) {
      evaluator.ratios(v, ratio);
      sum += ratio[1] * std::exp(static_cast<double>(token.logits[static_cast<size_t>(v)]) -
                                 token.log_sum_exp);
    }
    ASSERT_NEAR(sum, 1, 1e-5);
  }
  EXPECT_GT(gain / 500, 0.15);
}

}  // namespace
}  // namespace ruvllm::sona
