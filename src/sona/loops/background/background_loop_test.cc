#include "sona/loops/background/background_loop.h"

#include <atomic>
#include <cstring>
#include <future>
#include <map>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "device/cpu_device.h"
#include "sona/loops/user/toy_samples.h"

namespace ruvllm::sona {
namespace {

class BackgroundTest : public testing::Test {
 protected:
  BackgroundTest() : kernels_(*device::choose_kernels("")) {}

  std::unique_ptr<UserLearner> new_learner() const {
    return std::make_unique<UserLearner>(kernels_.table, model_.features(), options_);
  }
  LearnerRegistryOptions registry_options() const {
    return {.load = [this](std::string_view) -> Result<std::unique_ptr<UserLearner>> {
      return new_learner();
    }};
  }
  SharedSample text(size_t count = 24) { return toy_sample(model_, model_.draw_many(count)); }

  ToyModel model_;
  device::KernelChoice kernels_;
  UserLearnerOptions options_ = toy_options();
};

TEST_F(BackgroundTest, FiresOnIntervalAndNumberAndIsForcedWhenFull) {
  SonaConfig config;
  config.background_interval_ms = 100;
  config.background_min_samples = 10;
  config.max_pending_samples = 50;
  EXPECT_EQ(consolidation_due(config, 1000, 950, 10), ConsolidationDue::kNo);
  EXPECT_EQ(consolidation_due(config, 1050, 950, 9), ConsolidationDue::kNo);
  EXPECT_EQ(consolidation_due(config, 1050, 950, 10), ConsolidationDue::kDue);
  EXPECT_EQ(consolidation_due(config, 950, 950, 50), ConsolidationDue::kForced);
}

TEST_F(BackgroundTest, LearnsWhatIsSubmittedAndConsolidatesWhenForced) {
  LearnerRegistry registry(registry_options());
  SonaConfig config;
  config.background_interval_ms = 1'000'000'000;  // never by the clock
  config.background_min_samples = 1;
  config.max_pending_samples = 20;
  auto loop = BackgroundLoop::start(registry, config);
  ASSERT_TRUE(loop.has_value());
  EXPECT_EQ(registry.find("ann"), nullptr);
  for (int i = 0; i < 19; ++i) {
    ASSERT_TRUE((*loop)->submit("ann", text()));
    ASSERT_TRUE((*loop)->drain());
  }
  EXPECT_EQ((*loop)->status().num_learned, 19);
  EXPECT_EQ((*loop)->status().num_consolidations, 0);
  ASSERT_NE(registry.find("ann"), nullptr);
  EXPECT_EQ(registry.find("ann")->generation, 19u);
  ASSERT_TRUE((*loop)->submit("ann", text()));
  ASSERT_TRUE((*loop)->drain());
  const BackgroundStatus status = (*loop)->status();
  EXPECT_EQ(status.num_consolidations, 1);
  EXPECT_EQ(status.num_forced, 1);
  ASSERT_TRUE(status.last_report.has_value());
  EXPECT_EQ(status.last_report->strategy, ConsolidationStrategy::EwcMerge);
  EXPECT_TRUE(status.is_running);
  (*loop)->stop();
  EXPECT_FALSE((*loop)->status().is_running);
  EXPECT_FALSE((*loop)->submit("ann", text()));
}

TEST_F(BackgroundTest, FiresByTheClock) {
  LearnerRegistry registry(registry_options());
  SonaConfig config;
  config.background_interval_ms = 1;
  config.background_min_samples = 3;
  config.consolidation_strategy = ConsolidationStrategy::Average;
  std::promise<ConsolidationReport> reported;
  std::atomic<bool> is_set = false;
  auto loop = BackgroundLoop::start(
      registry, config,
      {.learned = {}, .consolidated = [&](const std::string&, const ConsolidationReport& report) {
         if (!is_set.exchange(true)) reported.set_value(report);
       }});
  ASSERT_TRUE(loop.has_value());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE((*loop)->submit("ann", text()));
  EXPECT_EQ(reported.get_future().get().strategy, ConsolidationStrategy::Average);
  (*loop)->stop();
}

TEST_F(BackgroundTest, CountsWhatItMustDrop) {
  LearnerRegistry registry(registry_options());
  SonaConfig config;
  config.background_min_samples = 1;
  config.max_pending_samples = 4;
  std::promise<void> entered, release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<bool> is_first = true;
  auto loop =
      BackgroundLoop::start(registry, config,
                            {.learned =
                                 [&](const std::string&, const Sample&, const LearnOutcome&) {
                                   if (!is_first.exchange(false)) return;
                                   entered.set_value();
                                   released.wait();
                                 },
                             .consolidated = {}});
  ASSERT_TRUE(loop.has_value());
  ASSERT_TRUE((*loop)->submit("ann", text()));
  entered.get_future().wait();  // the thread is at work: what comes now waits in the queue
  for (int i = 0; i < 4; ++i) EXPECT_TRUE((*loop)->submit("ann", text()));
  EXPECT_FALSE((*loop)->submit("ann", text()));
  EXPECT_EQ((*loop)->status().num_dropped, 1);
  EXPECT_EQ((*loop)->status().num_queued, 4);
  release.set_value();
  EXPECT_TRUE((*loop)->drain());
  EXPECT_EQ((*loop)->status().num_learned, 5);
}

TEST_F(BackgroundTest, ReadersNeverSeeAHalfPublishedAdapter) {
  LearnerRegistry registry(registry_options());
  auto loop = BackgroundLoop::start(registry, SonaConfig{});
  ASSERT_TRUE(loop.has_value());
  std::atomic<bool> is_done = false;
  std::atomic<int> num_wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      uint64_t last = 0;
      while (!is_done) {
        const auto adapter = registry.find("ann");
        if (adapter == nullptr) continue;
        const bool fits = adapter->prior.size() == adapter->num_experts() &&
                          adapter->fast_heads[0].biases.size() == adapter->row_tokens.size();
        if (!fits || adapter->generation < last) ++num_wrong;
        last = adapter->generation;
      }
    });
  }
  for (int i = 0; i < 60; ++i) (*loop)->submit(i % 3 == 0 ? "bob" : "ann", text());
  EXPECT_TRUE((*loop)->drain());
  is_done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(num_wrong, 0);
  EXPECT_EQ((*loop)->status().num_learned, 60);
}

TEST_F(BackgroundTest, TenThousandVotesMoveNoOtherUser) {
  LearnerRegistry registry(registry_options());
  ASSERT_TRUE(registry.learn("ann", text()).has_value());
  const auto before = registry.find("ann");
  const std::vector<BlockQ8_0> rows = before->fast_heads[0].rows;
  auto vote = std::make_shared<Sample>();
  vote->kind = SampleKind::kRating;
  vote->is_desirable = false;
  vote->tokens = owned(model_, model_.draw_many(1));
  const int num_votes = RUVLLM_SANITIZED ? 500 : 10'000;
  for (int i = 0; i < num_votes; ++i) {
    ASSERT_TRUE(registry.learn("mallory", vote).has_value());
  }
  EXPECT_EQ(registry.find("ann"), before);
  EXPECT_EQ(
      std::memcmp(rows.data(), before->fast_heads[0].rows.data(), rows.size() * sizeof(BlockQ8_0)),
      0);
  // Nor do they run away: a vote fades as the response moves off.
  for (const float bias : registry.find("mallory")->fast_heads[0].biases) {
    EXPECT_LT(std::abs(bias), 20);
  }
}

TEST_F(BackgroundTest, LetsGoOfTheLeastRecentlyUsedBeyondItsBudget) {
  std::map<std::string, std::pair<UserState, uint64_t>, std::less<>> saved;
  LearnerRegistryOptions options;
  options.load = [&](std::string_view owner) -> Result<std::unique_ptr<UserLearner>> {
    std::unique_ptr<UserLearner> learner = new_learner();
    const auto found = saved.find(owner);
    if (found != saved.end()) learner->restore(found->second.first, found->second.second);
    return learner;
  };
  options.save = [&](std::string_view owner, const UserLearner& learner) -> Status {
    saved.insert_or_assign(std::string(owner), std::pair(learner.state(), learner.generation()));
    return {};
  };
  const SharedSample sample = text(32);
  std::unique_ptr<UserLearner> measure = new_learner();
  measure->learn(sample);
  options.max_bytes = measure->bytes() * 5 / 2;
  LearnerRegistry registry(options);
  for (const char* owner : {"ann", "bob", "cid"}) {
    ASSERT_TRUE(registry.learn(owner, sample).has_value());
  }
  EXPECT_EQ(registry.owners(), (std::vector<std::string>{"bob", "cid"}));
  EXPECT_EQ(registry.num_evicted(), 1);
  EXPECT_LE(registry.bytes(), options.max_bytes);
  EXPECT_EQ(registry.find("ann"), nullptr);
  ASSERT_TRUE(registry.load("ann").has_value());
  ASSERT_NE(registry.find("ann"), nullptr);
  EXPECT_EQ(registry.find("ann")->fast_heads[0].biases, registry.find("cid")->fast_heads[0].biases);
  registry.remove("ann");
  EXPECT_EQ(registry.find("ann"), nullptr);
}

TEST_F(BackgroundTest, SaysWhyAnOwnerCannotBeLoaded) {
  LearnerRegistry registry(
      {.load = [](std::string_view owner) -> Result<std::unique_ptr<UserLearner>> {
        return fail(ErrorCode::kCorrupt, "state of {}: checksum", owner);
      }});
  auto loop = BackgroundLoop::start(registry, SonaConfig{});
  ASSERT_TRUE(loop.has_value());
  (*loop)->submit("ann", text());
  EXPECT_TRUE((*loop)->drain());
  EXPECT_EQ((*loop)->status().num_failed, 1);
  EXPECT_NE((*loop)->status().last_error.find("state of ann"), std::string::npos);
  EXPECT_FALSE(registry.learn("ann", text()).has_value());
}

}  // namespace
}  // namespace ruvllm::sona
