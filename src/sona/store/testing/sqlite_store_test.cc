#include "sona/store/sqlite/sqlite_store.h"

#include <atomic>
#include <cmath>
#include <limits>
#include <set>
#include <thread>

#include <sys/stat.h>

#include "sona/store/testing/store_fixture.h"

namespace ruvllm::sona {
namespace {

using SqliteStore = StoreTest;

const Owner kAnn = owner_named("acme", "ann");
const Owner kBob = owner_named("acme", "bob");
const Owner kOther = owner_named("other", "ann");  // the same name at another tenant

std::vector<std::string> payloads(const Result<FeedbackPage>& page) {
  std::vector<std::string> out;
  for (const Feedback& row : page.value().rows) out.push_back(row.content.payload);
  return out;
}

TEST_F(SqliteStore, GivesBackWhatWasAppended) {
  auto store = open();
  NewFeedback feedback = feedback_of("key", std::string("a\0b\xff", 4));
  feedback.time_us = 1234567;
  feedback.kind = FeedbackKind::kPreference;
  const Appended appended = store->append_feedback(kAnn, feedback).value();
  EXPECT_TRUE(appended.is_new);
  store = nullptr;
  store = open();
  const FeedbackPage page = store->read_feedback(kAnn, 0, 10).value();
  ASSERT_EQ(page.rows.size(), 1u);
  EXPECT_EQ(page.rows[0].id, appended.id);
  EXPECT_EQ(page.rows[0].user, "ann");
  EXPECT_EQ(page.rows[0].content.payload, feedback.payload);
  EXPECT_EQ(page.rows[0].content.kind, FeedbackKind::kPreference);
  EXPECT_EQ(page.rows[0].content.time_us, 1234567u);
  EXPECT_EQ(page.rows[0].content.response_id, "response");
  EXPECT_EQ(page.last_id, appended.id);
  EXPECT_TRUE(page.damaged_ids.empty());
}

TEST_F(SqliteStore, CountsAKeyOnce) {
  auto store = open();
  const Appended first = store->append_feedback(kAnn, feedback_of("key")).value();
  const Appended again = store->append_feedback(kAnn, feedback_of("key")).value();
  EXPECT_EQ(again.id, first.id);
  EXPECT_FALSE(again.is_new);
  const auto other = store->append_feedback(kAnn, feedback_of("key", "something else"));
  EXPECT_EQ(other.error().code(), ErrorCode::kInvalidArgument);
  // Keys are of a user, as everything is.
  EXPECT_TRUE(store->append_feedback(kBob, feedback_of("key", "bob's")).value().is_new);
  EXPECT_EQ(store->count(kAnn.tenant()).value().num_feedback, 2u);
}

TEST_F(SqliteStore, ReadsOnFromAnId) {
  auto store = open();
  for (int i = 0; i < 10; ++i) {
    const Owner& owner = i % 2 == 0 ? kAnn : kBob;
    const std::string text = std::to_string(i);
    ASSERT_TRUE(store->append_feedback(owner, feedback_of(text, text)));
  }
  ASSERT_TRUE(store->append_feedback(kOther, feedback_of("key", "other")));
  const auto first = store->read_feedback(kAnn.tenant(), 0, 4);
  EXPECT_EQ(payloads(first), (std::vector<std::string>{"0", "1", "2", "3"}));
  const auto rest = store->read_feedback(kAnn.tenant(), first->last_id, 100);
  EXPECT_EQ(payloads(rest), (std::vector<std::string>{"4", "5", "6", "7", "8", "9"}));
  EXPECT_EQ(payloads(store->read_feedback(kBob, first->last_id, 2)),
            (std::vector<std::string>{"5", "7"}));
  EXPECT_EQ(store->read_feedback(kBob, 1000, 2)->last_id, 1000);
  EXPECT_EQ(payloads(store->read_feedback(kOther.tenant(), 0, 100)),
            (std::vector<std::string>{"other"}));
}

TEST_F(SqliteStore, RefusesWhatCannotBe) {
  auto store = open();
  EXPECT_FALSE(Tenant::create(""));
  EXPECT_FALSE(Tenant::create("a\nb"));
  EXPECT_FALSE(Owner::create(tenant_named("acme"), ""));
  EXPECT_FALSE(Owner::create(tenant_named("acme"), std::string(257, 'a')));
  EXPECT_FALSE(store->append_feedback(kAnn, feedback_of("")));
  EXPECT_FALSE(store->append_feedback(kAnn, feedback_of("key", std::string((1u << 20) + 1, 'a'))));
  NewFeedback feedback = feedback_of("key");
  feedback.kind = static_cast<FeedbackKind>(9);
  EXPECT_FALSE(store->append_feedback(kAnn, feedback));
  NewGeneration generation = generation_of(0, "a");
  generation.provenance.figures.loss_after = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(store->put_generation(kAnn, generation).error().code(), ErrorCode::kInvalidArgument);
  generation = generation_of(0, "a");
  generation.blobs.push_back(generation.blobs.front());
  EXPECT_FALSE(store->put_generation(kAnn, generation));
  EXPECT_EQ(store->put_generation(kAnn, generation_of(7, "a")).error().code(),
            ErrorCode::kNotFound);
  EXPECT_EQ(store->list_generations(kAnn).value().size(), 0u);
  EXPECT_EQ(store->count(kAnn.tenant()).value().blob_bytes, 0u);  // nothing is left of them
}

TEST_F(SqliteStore, KeepsTheNewestTrajectories) {
  auto store = open();  // four of each owner
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(store->put_trajectory(
        kAnn,
        {.response_id = std::to_string(i), .generation = 3, .time_us = 7, .payload = "trace"}));
  }
  ASSERT_TRUE(store->put_trajectory(kAnn, {.response_id = "2", .payload = "again"}));
  EXPECT_EQ(store->find_trajectory(kAnn, "1").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store->find_trajectory(kAnn, "2").value().payload, "again");
  EXPECT_EQ(store->find_trajectory(kAnn, "5").value().generation, 3u);
  EXPECT_EQ(store->find_trajectory(kBob, "5").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store->find_trajectory(kOther, "5").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store->count(kAnn.tenant()).value().num_trajectories, 4u);
}

TEST_F(SqliteStore, KeepsGenerationsWithTheirProvenance) {
  auto store = open();
  NewGeneration first = generation_of(0, "first adapter");
  first.provenance.first_feedback = 3;
  first.provenance.last_feedback = 9;
  first.provenance.figures = {.loss_before = 4.25,
                              .loss_after = 4.0,
                              .interval_low = -0.5,
                              .interval_high = -0.125,
                              .num_tokens = 400};
  ASSERT_EQ(store->put_generation(kAnn, first).value(), 1u);
  const Generation kept = store->find_generation(kAnn, 1).value();
  EXPECT_EQ(kept.provenance, first.provenance);
  ASSERT_EQ(kept.blobs.size(), 1u);

  NewGeneration second = generation_of(1, "second adapter");
  second.blobs.push_back({"memory/0", {}, kept.blobs[0].sha256});  // what is there already
  ASSERT_EQ(store->put_generation(kAnn, second).value(), 2u);
  const Generation next = store->find_generation(kAnn, 2).value();
  EXPECT_EQ(next.provenance.figures.loss_before, std::nullopt);
  ASSERT_EQ(next.blobs.size(), 2u);
  EXPECT_EQ(next.blobs[1].role, "memory/0");
  const std::vector<std::byte> bytes = store->read_blob(kAnn, next.blobs[1].sha256).value();
  EXPECT_TRUE(std::ranges::equal(bytes, bytes_of("first adapter")));
  EXPECT_EQ(store->count(kAnn.tenant()).value().blob_bytes, 13u + 14u);
}

TEST_F(SqliteStore, ShowsNoBlobToOthers) {
  auto store = open();
  ASSERT_TRUE(store->put_generation(kAnn, generation_of(0, "secret")));
  const Sha256 name = sha256_of(bytes_of("secret"));
  EXPECT_TRUE(store->read_blob(kAnn, name));
  EXPECT_EQ(store->read_blob(kBob, name).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store->read_blob(kOther, name).error().code(), ErrorCode::kNotFound);
  NewGeneration stolen = generation_of(0, "own");
  stolen.blobs.push_back({"stolen", {}, name});
  EXPECT_EQ(store->put_generation(kBob, stolen).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store->put_generation(kOther, stolen).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store->find_generation(kOther, 1).error().code(), ErrorCode::kNotFound);
}

TEST_F(SqliteStore, ComparesBeforeItSets) {
  auto store = open();
  EXPECT_EQ(store->current_generation(kAnn).value(), 0u);
  for (uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(store->put_generation(kAnn, generation_of(i, "a")));
  EXPECT_TRUE(store->swap_current(kAnn, 0, 3).value().is_swapped);
  const Swapped late = store->swap_current(kAnn, 0, 2).value();
  EXPECT_FALSE(late.is_swapped);
  EXPECT_EQ(late.current, 3u);
  EXPECT_EQ(store->swap_current(kAnn, 3, 8).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store->current_generation(kBob).value(), 0u);

  EXPECT_EQ(store->roll_back(kAnn, 1).value(), 2u);
  EXPECT_EQ(store->roll_back(kAnn, 2).value(), 0u);
  EXPECT_EQ(store->roll_back(kAnn, 1).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->current_generation(kAnn).value(), 0u);
}

TEST_F(SqliteStore, PrunesGenerationsAndTheirBlobs) {
  auto store = open();
  for (uint64_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(store->put_generation(kAnn, generation_of(i, "adapter " + std::to_string(i))));
  }
  ASSERT_TRUE(store->put_generation(kBob, generation_of(0, "adapter 0")));  // keeps that blob
  ASSERT_TRUE(store->swap_current(kAnn, 0, 4));
  EXPECT_EQ(store->prune_generations(kAnn, 2).value(), 3u);
  std::vector<uint64_t> numbers;
  const std::vector<Generation> left = store->list_generations(kAnn).value();
  for (const Generation& each : left) numbers.push_back(each.number);
  EXPECT_EQ(numbers, (std::vector<uint64_t>{2, 3, 4, 7, 8}));
  EXPECT_EQ(store->count(kAnn.tenant()).value().blob_bytes, 6u * 9u);
  EXPECT_EQ(store->roll_back(kAnn, 2).value(), 2u);
  EXPECT_EQ(store->roll_back(kAnn, 1).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store->put_generation(kAnn, generation_of(8, "new")).value(), 9u);
}

TEST_F(SqliteStore, IsForItsOwnerAlone) {
  auto store = open();
  ASSERT_TRUE(store->append_feedback(kAnn, feedback_of("key")));
  ASSERT_TRUE(store->back_up());
  for (const char* name : {"/learned.db", "/learned.db-wal", "/lock", "/backups/learned.db"}) {
    struct stat info{};
    ASSERT_EQ(::stat((state() + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777u, 0600u) << name;
  }
}

TEST_F(SqliteStore, TakesManyWritersAndReaders) {
  auto store = open();
  constexpr int kNumWriters = 8;
  constexpr int kNumEach = RUVLLM_SANITIZED ? 20 : 60;
  std::atomic<int> num_failed = 0;
  std::atomic<bool> is_done = false;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kNumWriters; ++writer) {
    threads.emplace_back([&, writer] {
      const Owner owner = owner_named("acme", "user" + std::to_string(writer % 4));
      for (int i = 0; i < kNumEach; ++i) {
        // Two writers of each user send the same keys: one of them counts.
        if (!store->append_feedback(owner, feedback_of(std::to_string(i)))) ++num_failed;
        if (i % 16 == 0 && store->append_feedback(owner, feedback_of("")).has_value()) ++num_failed;
      }
    });
  }
  std::thread reader([&] {
    int64_t after_id = 0;
    while (!is_done) {
      const auto page = store->read_feedback(tenant_named("acme"), after_id, 7);
      if (!page || !page->damaged_ids.empty()) ++num_failed;
      if (page) after_id = page->last_id;
    }
  });
  for (std::thread& thread : threads) thread.join();
  is_done = true;
  reader.join();
  EXPECT_EQ(num_failed, 0);
  EXPECT_EQ(store->count(tenant_named("acme")).value().num_feedback, 4u * kNumEach);
}

TEST_F(SqliteStore, LetsOneOfManySwap) {
  auto store = open();
  auto other = open();  // as another process would
  ASSERT_TRUE(store->put_generation(kAnn, generation_of(0, "a")));
  std::atomic<int> num_swapped = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      const auto swapped = (i % 2 == 0 ? store : other)->swap_current(kAnn, 0, 1);
      if (swapped && swapped->is_swapped) ++num_swapped;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_swapped, 1);
  EXPECT_EQ(other->current_generation(kAnn).value(), 1u);
}

}  // namespace
}  // namespace ruvllm::sona
