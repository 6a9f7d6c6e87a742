#include "sona/loops/user/user_learner.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "device/cpu_device.h"
#include "sona/loops/user/head_rows.h"
#include "sona/loops/user/toy_samples.h"

namespace ruvllm::sona {
namespace {

class UserLearnerTest : public testing::Test {
 protected:
  UserLearnerTest() : kernels_(*device::choose_kernels("")) {}

  UserLearner learner(const UserLearnerOptions& options) const {
    return UserLearner(kernels_.table, model_.features(), options);
  }
  SharedSample text(int32_t first_subject, int32_t num_subjects, size_t count = 32) {
    return toy_sample(model_, model_.draw_many(count, first_subject, num_subjects));
  }
  // Sum of log p - log p_base of a new conversation.
  double gain(const UserLearner& learner, const Sample& sample) {
    EvidenceScorer scorer(kernels_.table, ToyModel::kHidden, ToyModel::kVocab);
    return scorer.mixture(*learner.adapter(), views(sample.tokens));
  }
  static void expect_same(const adapters::HeadAdapter& a, const adapters::HeadAdapter& b) {
    EXPECT_EQ(a.row_tokens, b.row_tokens);
    EXPECT_EQ(a.prior, b.prior);
    EXPECT_EQ(a.memory.num_states(), b.memory.num_states());
    ASSERT_EQ(a.fast_heads.size(), b.fast_heads.size());
    for (size_t k = 0; k < a.fast_heads.size(); ++k) {
      EXPECT_EQ(a.fast_heads[k].biases, b.fast_heads[k].biases);
      ASSERT_EQ(a.fast_heads[k].rows.size(), b.fast_heads[k].rows.size());
      EXPECT_EQ(std::memcmp(a.fast_heads[k].rows.data(), b.fast_heads[k].rows.data(),
                            a.fast_heads[k].rows.size() * sizeof(BlockQ8_0)),
                0);
    }
  }

  ToyModel model_;
  device::KernelChoice kernels_;
};

TEST_F(UserLearnerTest, InstantRateScalesTheStep) {
  const SharedSample sample = text(0, 4, 4);
  UserLearnerOptions options = toy_options();
  UserLearner slow = learner(options);
  options.config.instant_lr = 0.02;
  UserLearner fast = learner(options);
  slow.learn(sample);
  fast.learn(sample);
  const HeadRows slow_rows = rows_of(*slow.state().slots[0].learner);
  const HeadRows fast_rows = rows_of(*fast.state().slots[0].learner);
  ASSERT_EQ(slow_rows.tokens, fast_rows.tokens);
  ASSERT_FALSE(slow_rows.weights.empty());
  for (size_t i = 0; i < slow_rows.weights.size(); ++i) {
    ASSERT_NEAR(fast_rows.weights[i], 2 * slow_rows.weights[i], 1e-5f);
  }

  options.config.instant_lr = 0;
  UserLearner off = learner(options);
  EXPECT_EQ(off.learn(sample).fate, SampleFate::kSwitchedOff);
  EXPECT_TRUE(off.adapter()->empty());
}

TEST_F(UserLearnerTest, QualityThresholdDecidesWhatIsLearned) {
  const std::vector<ToyToken> tokens = model_.draw_many(16);
  const SharedSample sample = toy_sample(model_, tokens, SampleKind::kText, 0.4);
  UserLearnerOptions options = toy_options();
  UserLearner strict = learner(options);
  EXPECT_EQ(strict.learn(sample).fate, SampleFate::kBelowThreshold);
  EXPECT_EQ(strict.counters().num_below_threshold, 1);
  EXPECT_TRUE(strict.adapter()->empty());
  EXPECT_EQ(strict.num_pending(), 0);
  options.config.apply(TuningUse::StableDomains);
  UserLearner lenient = learner(options);
  EXPECT_EQ(lenient.learn(sample).fate, SampleFate::kLearned);
  EXPECT_FALSE(lenient.adapter()->empty());
}

TEST_F(UserLearnerTest, AccumulatedQualityTriggersTheDeepLoop) {
  UserLearnerOptions options = toy_options();
  options.config.deep_trigger_threshold = 1.5;
  UserLearner taught = learner(options);
  const std::vector<ToyToken> tokens = model_.draw_many(16);
  taught.learn(toy_sample(model_, tokens, SampleKind::kText, 0.8));
  taught.learn(toy_sample(model_, tokens, SampleKind::kText, 0.2));  // not learned
  EXPECT_FALSE(taught.should_trigger_deep());
  taught.learn(toy_sample(model_, tokens, SampleKind::kText, 0.7));
  EXPECT_TRUE(taught.should_trigger_deep());
  taught.deep_has_run();
  EXPECT_FALSE(taught.should_trigger_deep());
}

TEST_F(UserLearnerTest, FindsTheSubjectsOfAnAlternatingStream) {
  UserLearner taught = learner(toy_options());
  std::vector<uint64_t> slots[2];
  for (int i = 0; i < 40; ++i) {
    const LearnOutcome outcome = taught.learn(text(i % 2 == 0 ? 0 : 6, 4));
    slots[i % 2].push_back(outcome.slot_id);
  }
  EXPECT_EQ(taught.counters().num_slots_found, 2);
  for (const auto& ids : slots) EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), 1u);
  EXPECT_NE(slots[0][0], slots[1][0]);
  EXPECT_EQ(taught.adapter()->fast_heads.size(), 2u);
  EXPECT_GT(gain(taught, *text(0, 4)) / 32, 1);
  EXPECT_GT(gain(taught, *text(6, 4)) / 32, 1);
}

TEST_F(UserLearnerTest, HeldOutSamplesAreNeverLearned) {
  UserLearnerOptions options = toy_options();
  options.held_out_every = 4;
  UserLearner with = learner(options);
  options.held_out_every = 0;
  UserLearner without = learner(options);
  for (int i = 1; i <= 20; ++i) {
    const SharedSample sample = text(0, 4);
    const LearnOutcome outcome = with.learn(sample);
    EXPECT_EQ(outcome.fate, i % 4 == 0 ? SampleFate::kHeldOut : SampleFate::kLearned);
    if (i % 4 != 0) without.learn(sample);
  }
  EXPECT_EQ(with.counters().num_held_out, 5);
  EXPECT_EQ(with.state().held_out.num_tokens(), 5 * 32);
  expect_same(*with.adapter(), *without.adapter());
  // What a user corrects takes effect, always.
  const std::vector<ToyToken> tokens = model_.draw_many(4);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(with.learn(toy_sample(model_, tokens, SampleKind::kCorrection)).fate,
              SampleFate::kLearned);
  }
}

TEST_F(UserLearnerTest, RollsBackWhatHarmsOnAnAdversarialStream) {
  UserLearnerOptions options = toy_options();
  options.max_live_harm = 4;
  options.checkpoint_tokens = 320;
  UserLearner taught = learner(options);
  for (int i = 0; i < 12; ++i) taught.learn(text(0, 12));
  EXPECT_EQ(taught.counters().num_rollbacks, 0);
  const double before = gain(taught, *text(0, 12));
  ASSERT_GT(before, 10);
  int64_t num_hostile = 0;
  while (taught.counters().num_rollbacks == 0 && num_hostile < 200) {
    // As frequent as ever, but at other positions: there is nothing to learn of them.
    const std::vector<ToyToken> tokens = model_.draw_many(32);
    std::vector<ToyToken> hostile = tokens;
    for (size_t i = 0; i < 32; ++i) hostile[i].target = tokens[(i + 13) % 32].target;
    taught.learn(toy_sample(model_, hostile));
    ++num_hostile;
  }
  EXPECT_EQ(taught.counters().num_rollbacks, 1) << num_hostile;
  EXPECT_NE(taught.counters().last_rollback_reason.find("nats"), std::string::npos);
  // The parent knew the subject.
  EXPECT_GT(gain(taught, *text(0, 12)), 0.5 * before);
  taught.roll_back("asked for");
  EXPECT_EQ(taught.counters().last_rollback_reason, "asked for");
  EXPECT_TRUE(taught.adapter()->empty());
}

TEST_F(UserLearnerTest, ATaskEndsWhereTheMixtureIsSurprised) {
  UserLearnerOptions options = toy_options();
  options.max_slots = 1;  // what comes next must be learned where the first subject was
  UserLearner taught = learner(options);
  for (int i = 0; i < 24; ++i) EXPECT_FALSE(taught.learn(text(0, 4)).is_boundary) << i;
  EXPECT_EQ(taught.state().slots[0].learner->fast_head(0).consolidation().has_anchor(), false);
  bool is_found = false;
  for (int i = 0; i < 6 && !is_found; ++i) {
    std::vector<ToyToken> tokens = model_.draw_many(32, 0, 4);
    for (ToyToken& token : tokens) token.target = (token.target + 8) % ToyModel::kVocab;
    is_found = taught.learn(toy_sample(model_, tokens)).is_boundary;
  }
  EXPECT_TRUE(is_found);
  EXPECT_EQ(taught.counters().num_boundaries, 1);
  EXPECT_TRUE(taught.state().slots[0].learner->fast_head(0).consolidation().has_anchor());
}

TEST_F(UserLearnerTest, RatingsMoveTheServedMixture) {
  const std::vector<ToyToken> response = model_.draw_many(40);
  double gains[2];
  for (const bool is_desirable : {false, true}) {
    UserLearner rated = learner(toy_options());
    auto sample = std::make_shared<Sample>();
    sample->kind = SampleKind::kRating;
    sample->is_desirable = is_desirable;
    sample->tokens = owned(model_, response);
    for (int i = 0; i < 30; ++i) rated.learn(sample);
    EvidenceScorer scorer(kernels_.table, ToyModel::kHidden, ToyModel::kVocab);
    gains[is_desirable ? 1 : 0] = scorer.expert(*rated.adapter(), 1, views(sample->tokens));
    EXPECT_TRUE(rated.adapter()->memory.empty());
    EXPECT_EQ(rated.counters().num_slots_found, 1);
  }
  EXPECT_GT(gains[1], 1);
  EXPECT_LT(gains[0], -1);
}

TEST_F(UserLearnerTest, PreferencesNeedBothSides) {
  UserLearner paired = learner(toy_options());
  auto sample = std::make_shared<Sample>();
  sample->kind = SampleKind::kPreference;
  sample->tokens = owned(model_, model_.draw_many(8));
  EXPECT_EQ(paired.learn(SharedSample(sample)).fate, SampleFate::kRefused);
  auto whole = std::make_shared<Sample>(*sample);
  whole->rejected = owned(model_, model_.draw_many(8));
  EXPECT_EQ(paired.learn(SharedSample(whole)).fate, SampleFate::kLearned);
}

TEST_F(UserLearnerTest, RefusesWhatIsNoEvidence) {
  UserLearner taught = learner(toy_options());
  const SharedSample good = text(0, 4, 4);
  Sample bad = *good;
  bad.quality = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(taught.learn(bad).fate, SampleFate::kRefused);
  bad.quality = 1;
  for (OwnedEvidence& token : bad.tokens) token.hidden.resize(3);
  EXPECT_EQ(taught.learn(bad).fate, SampleFate::kRefused);
  bad.tokens = good->tokens;
  for (OwnedEvidence& token : bad.tokens) {  // beyond the vocabulary
    token.candidate_tokens.push_back(1 << 30);
    token.candidate_logits.push_back(-20);
  }
  EXPECT_EQ(taught.learn(bad).fate, SampleFate::kRefused);
  EXPECT_EQ(taught.learn(Sample{}).fate, SampleFate::kRefused);
  EXPECT_EQ(taught.counters().num_refused, 4);
  EXPECT_TRUE(taught.adapter()->empty());
}

TEST_F(UserLearnerTest, ARestoredStateLearnsOnWithTheSameBits) {
  UserLearner first = learner(toy_options());
  for (int i = 0; i < 12; ++i) first.learn(text(i % 2 == 0 ? 0 : 6, 4));
  UserLearner second = learner(toy_options());
  second.restore(first.state(), first.generation());
  EXPECT_EQ(second.generation(), first.generation());
  expect_same(*second.adapter(), *first.adapter());
  const SharedSample next = text(0, 4);
  // Copies are independent writers: the first learns before the second, from the same.
  first.learn(next);
  const std::shared_ptr<const adapters::HeadAdapter> kept = first.adapter();
  second.learn(next);
  expect_same(*second.adapter(), *kept);
}

TEST(ChangePoint, RingsWhereTheSubjectChangesAndNotInNoise) {
  const RandomStream random(5);
  ChangePoint detector;
  for (uint64_t i = 0; i < 500; ++i) {
    ASSERT_FALSE(detector.add(3 + 0.4 * (random.uniform(i) - 0.5))) << i;
  }
  int num_needed = 0;
  for (bool has_rung = false; !has_rung && num_needed < 20; ++num_needed) {
    has_rung = detector.add(4 + 0.4 * (random.uniform(1000 + static_cast<uint64_t>(num_needed))));
  }
  EXPECT_LE(num_needed, 3);
  EXPECT_FALSE(detector.add(NAN));
}

}  // namespace
}  // namespace ruvllm::sona
