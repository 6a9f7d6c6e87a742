// Disks that are full, that fail, and that lose power.
#include <filesystem>
#include <optional>
#include <set>

#include "sona/store/testing/fault_vfs.h"
#include "sona/store/testing/store_fixture.h"

namespace ruvllm::sona {
namespace {

using Faults = StoreTest;
namespace fs = std::filesystem;

const Owner kAnn = owner_named("acme", "ann");

std::set<std::string> keys_of(LearnedStateStore& store) {
  std::set<std::string> keys;
  const FeedbackPage page = store.read_feedback(kAnn, 0, 10'000).value();
  EXPECT_TRUE(page.damaged_ids.empty());
  for (const Feedback& row : page.rows) {
    EXPECT_TRUE(keys.insert(row.content.idempotency_key).second) << "counted twice";
  }
  return keys;
}

TEST_F(Faults, PausesWhileTheDiskIsFullAndGoesOnByItself) {
  FaultVfs vfs;
  auto store = std::move(try_open(FaultVfs::kName).value().store);
  ASSERT_TRUE(store->append_feedback(kAnn, feedback_of("before")));
  vfs.fail(FaultVfs::Fault::kDiskFull, 0, ~uint64_t{0});
  for (int i = 0; i < 3; ++i) {
    const auto full = store->append_feedback(kAnn, feedback_of("during"));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code(), ErrorCode::kResourceExhausted) << full.error().message();
    EXPECT_NE(full.error().message().find("free space"), std::string::npos);
    EXPECT_EQ(keys_of(*store), std::set<std::string>{"before"});
  }
  EXPECT_FALSE(store->put_generation(kAnn, generation_of(0, std::string(100'000, 'a'))));
  EXPECT_FALSE(store->forget(kAnn));
  vfs.fail(FaultVfs::Fault::kNone, 0, 0);
  EXPECT_TRUE(store->append_feedback(kAnn, feedback_of("during")).value().is_new);
  EXPECT_EQ(keys_of(*store), (std::set<std::string>{"before", "during"}));
}

// One write or sync fails, the n-th, for each n: what was acknowledged stays, what was not may be
// sent again and counts once.
TEST_F(Faults, SurvivesEachFailingOperation) {
  using Fault = FaultVfs::Fault;
  for (const Fault fault : {Fault::kDiskFull, Fault::kWriteFails, Fault::kSyncFails}) {
    const uint64_t end = fault == Fault::kSyncFails ? 14 : 90;
    uint64_t num_failed = 0;
    for (uint64_t n = 0; n < end; n += fault == Fault::kSyncFails ? 1 : 3) {
      FaultVfs vfs;
      fs::remove_all(state());
      vfs.fail(fault, n, 1);
      std::optional<OpenedStore> opened;
      for (int attempt = 0; attempt < 2 && !opened; ++attempt) {
        Result<OpenedStore> result = try_open(FaultVfs::kName);
        if (result) opened = *std::move(result);
      }
      ASSERT_TRUE(opened) << n;
      EXPECT_EQ(opened->recovery.message, "");
      std::set<std::string> sent;
      for (int i = 0; i < 8; ++i) {
        const NewFeedback feedback = feedback_of(std::to_string(i), std::string(3000, 'x'));
        sent.insert(feedback.idempotency_key);
        Result<Appended> appended = opened->store->append_feedback(kAnn, feedback);
        if (!appended) appended = opened->store->append_feedback(kAnn, feedback);
        ASSERT_TRUE(appended) << appended.error().message();
      }
      EXPECT_EQ(keys_of(*opened->store), sent);
      opened.reset();
      EXPECT_EQ(keys_of(*open()), sent);
      if (vfs.has_failed()) ++num_failed;
    }
    EXPECT_GT(num_failed, 5u);
  }
}

// The power goes before each sync and after some writes, with checkpoints, a generation and a
// removal among them.
TEST_F(Faults, HoldsWhatItAcknowledgedThroughPowerLoss) {
  struct Moment {
    std::map<std::string, std::string> files;
    size_t num_acked;
    uint64_t current;
  };
  std::vector<Moment> moments;
  {
    // The hook is called until the store is closed.
    size_t num_acked = 0;
    uint64_t current = 0;
    uint64_t num_calls = 0;
    FaultVfs vfs;
    auto store = std::move(try_open(FaultVfs::kName).value().store);
    vfs.set_hook([&] {
      if (num_calls++ % 9 > 1) return;
      moments.push_back({vfs.after_power_loss(num_calls), num_acked, current});
    });
    for (int i = 0; i < 60; ++i) {
      ASSERT_TRUE(
          store->append_feedback(kAnn, feedback_of(std::to_string(i), std::string(900, 'x'))));
      ++num_acked;
      if (i % 20 != 19) continue;
      ASSERT_TRUE(store->put_generation(kAnn, generation_of(current, std::string(300'000, 'a'))));
      ASSERT_TRUE(store->swap_current(kAnn, current, current + 1));
      ++current;
      ASSERT_TRUE(store->prune_generations(kAnn, 0));
    }
  }
  ASSERT_GT(moments.size(), 60u);
  const size_t step = RUVLLM_SANITIZED ? 5 : 1;
  for (size_t i = 0; i < moments.size(); i += step) {
    const Moment& moment = moments[i];
    fs::remove_all(path("after"));
    fs::create_directories(path("after"));
    for (const auto& [name, content] : moment.files) {
      write_whole(path("after/") + fs::path(name).filename().string(), content);
    }
    Result<OpenedStore> opened = open_sqlite_store({.folder = path("after")});
    ASSERT_TRUE(opened) << opened.error().message();
    ASSERT_EQ(opened->recovery.message, "") << i;
    const std::set<std::string> keys = keys_of(*opened->store);
    for (size_t key = 0; key < moment.num_acked; ++key) {
      ASSERT_TRUE(keys.contains(std::to_string(key))) << "lost " << key << " at moment " << i;
    }
    EXPECT_LE(keys.size(), moment.num_acked + 1);
    const uint64_t current = opened->store->current_generation(kAnn).value();
    EXPECT_GE(current, moment.current);
    if (current != 0) {
      const Generation generation = opened->store->find_generation(kAnn, current).value();
      EXPECT_TRUE(opened->store->read_blob(kAnn, generation.blobs.at(0).sha256));
    }
  }
}

}  // namespace
}  // namespace ruvllm::sona
