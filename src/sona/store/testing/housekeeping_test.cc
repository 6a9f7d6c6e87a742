#include "sona/store/housekeeping.h"

#include <filesystem>

#include "sona/store/testing/store_fixture.h"

namespace ruvllm::sona {
namespace {

constexpr HousekeepingOptions kOptions = {.back_up_after_us = 1000,
                                          .back_up_after_changes = 5,
                                          .back_up_pause_us = 100,
                                          .num_generations_kept = 2,
                                          .retry_after_us = 50};

TEST(HousekeepingRule, ABackUpIsDueAfterTimeOrChanges) {
  EXPECT_FALSE(is_back_up_due(kOptions, {}, 1'000'000));
  const BackUpState one = {.num_changes = 1, .due_us = 1010};
  EXPECT_FALSE(is_back_up_due(kOptions, one, 1009));
  EXPECT_TRUE(is_back_up_due(kOptions, one, 1010));
  BackUpState many = {.num_changes = 5, .due_us = 1010, .not_before_us = 40};
  EXPECT_FALSE(is_back_up_due(kOptions, many, 39));
  EXPECT_TRUE(is_back_up_due(kOptions, many, 40));
  many.num_changes = 4;
  EXPECT_FALSE(is_back_up_due(kOptions, many, 40));
}

TEST(HousekeepingRule, PruningIsDueAfterNewGenerations) {
  EXPECT_FALSE(is_prune_due(kOptions, {.num_new = 2}, 10));
  EXPECT_TRUE(is_prune_due(kOptions, {.num_new = 3}, 10));
  EXPECT_FALSE(is_prune_due(kOptions, {.num_new = 3, .not_before_us = 11}, 10));
}

TEST(HousekeepingRule, RebuildingIsDueWhenItIsWanted) {
  EXPECT_FALSE(is_rebuild_due({}, 10));
  EXPECT_TRUE(is_rebuild_due({.is_wanted = true, .not_before_us = 10}, 10));
  EXPECT_FALSE(is_rebuild_due({.is_wanted = true, .not_before_us = 11}, 10));
}

class Housekeeping : public StoreTest {
 protected:
  Housekeeping() : ann_(owner_named("acme", "ann")) {}

  Housekeeper housekeeper(LearnedStateStore& store, std::optional<uint64_t> age = 0) {
    return Housekeeper(
        store, kOptions,
        [this](const Tenant& tenant, const Tombstone&) -> Status {
          rebuilt_.push_back(tenant.name());
          if (fails_) return fail(ErrorCode::kUnavailable, "not now");
          return {};
        },
        age, 0);
  }

  Owner ann_;
  bool fails_ = false;
  std::vector<std::string> rebuilt_;
};

TEST_F(Housekeeping, BacksUpOnceAndOnlyWhenSomethingChanged) {
  const auto store = open();
  Housekeeper keeper = housekeeper(*store);
  EXPECT_FALSE(keeper.run(999).is_backed_up);
  EXPECT_TRUE(keeper.run(1000).is_backed_up);  // what earlier processes left
  EXPECT_TRUE(std::filesystem::exists(state() + "/backups/learned.db"));
  EXPECT_FALSE(keeper.run(100'000).is_backed_up);
  for (int i = 0; i < 5; ++i) keeper.note_change(100'001);
  EXPECT_TRUE(keeper.run(100'002).is_backed_up);
  for (int i = 0; i < 5; ++i) keeper.note_change(100'003);
  EXPECT_FALSE(keeper.run(100'101).is_backed_up);  // the pause
  EXPECT_TRUE(keeper.run(100'102).is_backed_up);
}

TEST_F(Housekeeping, WithoutABackUpOneIsDueAtOnce) {
  const auto store = open();
  EXPECT_TRUE(housekeeper(*store, std::nullopt).run(0).is_backed_up);
  EXPECT_TRUE(housekeeper(*store, 5000).run(0).is_backed_up);
  EXPECT_FALSE(housekeeper(*store, 500).run(499).is_backed_up);
  EXPECT_TRUE(housekeeper(*store, 500).run(500).is_backed_up);
}

TEST_F(Housekeeping, ABackUpThatFailsIsTriedAgain) {
  const auto store = open();
  Housekeeper keeper = housekeeper(*store);
  // No folder can be made where a file lies.
  write_whole(state() + "/backups", "in the way");
  const HousekeepingReport failed = keeper.run(1000);
  EXPECT_FALSE(failed.is_backed_up);
  EXPECT_EQ(failed.errors.size(), 1u);
  std::filesystem::remove(state() + "/backups");
  EXPECT_FALSE(keeper.run(1049).is_backed_up);
  EXPECT_TRUE(keeper.run(1050).is_backed_up);
}

TEST_F(Housekeeping, PrunesOwnersThatMadeGenerations) {
  const auto store = open();
  Housekeeper keeper = housekeeper(*store);
  const Owner bob = owner_named("acme", "bob");
  for (uint64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(store->put_generation(ann_, generation_of(i, std::to_string(i))));
    keeper.note_generation(ann_, i);
  }
  ASSERT_TRUE(store->swap_current(ann_, 0, 5));
  for (uint64_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(store->put_generation(bob, generation_of(i, std::to_string(i))));
    keeper.note_generation(bob, i);
  }
  EXPECT_EQ(keeper.run(10).num_pruned, 2u);  // 5, 4 and 3 are left of hers
  EXPECT_EQ(store->list_generations(ann_).value().size(), 3u);
  EXPECT_EQ(store->list_generations(bob).value().size(), 2u);
  EXPECT_EQ(keeper.run(20).num_pruned, 0u);
}

TEST_F(Housekeeping, RebuildsAfterSomebodyWasForgotten) {
  const auto store = open();
  ASSERT_TRUE(store->append_feedback(ann_, feedback_of("1")));
  ASSERT_TRUE(store->forget(ann_));
  Housekeeper keeper = housekeeper(*store);
  EXPECT_EQ(keeper.run(10).num_rebuilt, 0u);  // nobody has named the tenant
  keeper.note_forgotten(ann_.tenant(), 10);
  fails_ = true;
  EXPECT_EQ(keeper.run(10).errors.size(), 1u);
  EXPECT_EQ(store->open_tombstones(ann_.tenant()).value().size(), 1u);
  fails_ = false;
  EXPECT_EQ(keeper.run(59).num_rebuilt, 0u);
  EXPECT_EQ(keeper.run(60).num_rebuilt, 1u);
  EXPECT_TRUE(store->open_tombstones(ann_.tenant()).value().empty());
  keeper.run(1000);
  EXPECT_EQ(rebuilt_.size(), 2u);
}

}  // namespace
}  // namespace ruvllm::sona
