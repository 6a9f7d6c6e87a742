#include <filesystem>
#include <fstream>

#include "sona/store/testing/store_fixture.h"

namespace ruvllm::sona {
namespace {

using Forget = StoreTest;

const Owner kAnn = owner_named("acme", "ann");
const Owner kBob = owner_named("acme", "bob");
constexpr std::string_view kSecret = "ANNS-SECRET";

bool is_anywhere_in(const std::string& folder, std::string_view text) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    if (read_whole(entry.path().string()).find(text) != std::string::npos) return true;
  }
  return false;
}

std::string secret(int i, size_t size) {
  std::string out;
  while (out.size() < size) out += std::string(kSecret) + std::to_string(i);
  return out;
}

void teach(LearnedStateStore& store) {
  // Long and short rows in turn with another user's, so that pages split and spill.
  for (int i = 0; i < 120; ++i) {
    const size_t size = 40u + static_cast<size_t>(i * 7919 % 9000);
    ASSERT_TRUE(store.append_feedback(kAnn, feedback_of(std::to_string(i), secret(i, size))));
    ASSERT_TRUE(store.append_feedback(kBob, feedback_of(std::to_string(i), "bob's")));
    ASSERT_TRUE(store.put_trajectory(
        kAnn, {.response_id = std::to_string(i % 9), .payload = secret(i, 300)}));
  }
  ASSERT_TRUE(store.put_generation(kAnn, generation_of(0, secret(1, 50000))));
  ASSERT_TRUE(store.put_generation(kAnn, generation_of(1, "of both")));
  ASSERT_TRUE(store.put_generation(kBob, generation_of(0, "of both")));
  ASSERT_TRUE(store.swap_current(kAnn, 0, 2));
}

TEST_F(Forget, LeavesNoByteAndNobodyElseLosesOne) {
  auto store = open();
  teach(*store);
  ASSERT_TRUE(store->back_up());
  std::filesystem::create_directories(state() + "/quarantine");
  write_whole(state() + "/quarantine/1-learned.db", kSecret);
  ASSERT_TRUE(is_anywhere_in(state(), kSecret));

  const ForgetReport report = store->forget(kAnn).value();
  EXPECT_EQ(report.num_feedback, 120u);
  EXPECT_EQ(report.num_trajectories, 4u);
  EXPECT_EQ(report.num_generations, 2u);
  EXPECT_EQ(report.num_blobs, 1u);
  EXPECT_EQ(report.removed_files.size(), 1u);
  EXPECT_FALSE(is_anywhere_in(state(), kSecret)) << "while it is open";
  EXPECT_EQ(store->read_feedback(kAnn, 0, 10).value().rows.size(), 0u);
  EXPECT_EQ(store->current_generation(kAnn).value(), 0u);
  EXPECT_EQ(store->list_users(kAnn.tenant()).value(), std::vector<std::string>{"bob"});
  EXPECT_EQ(store->read_feedback(kBob, 0, 1000).value().rows.size(), 120u);
  EXPECT_TRUE(store->read_blob(kBob, sha256_of(bytes_of("of both"))));
  store = nullptr;
  EXPECT_FALSE(is_anywhere_in(state(), kSecret)) << "closed";

  std::filesystem::remove(database());  // the backup does not remember either
  store = std::move(try_open().value().store);
  EXPECT_EQ(store->read_feedback(kAnn, 0, 10).value().rows.size(), 0u);
  EXPECT_EQ(store->read_feedback(kBob, 0, 1000).value().rows.size(), 120u);
}

TEST_F(Forget, MarksWhatWasLearnedFromTheRows) {
  auto store = open();
  const Owner shared = Owner::shared(tenant_named("acme"));
  const int64_t anns = store->append_feedback(kAnn, feedback_of("1")).value().id;
  const int64_t bobs = store->append_feedback(kBob, feedback_of("1")).value().id;
  const int64_t bobs_next = store->append_feedback(kBob, feedback_of("2")).value().id;
  for (const auto& [first, last] : {std::pair{anns, bobs}, std::pair{bobs, bobs_next}}) {
    NewGeneration generation = generation_of(0, "shared");
    generation.provenance.first_feedback = first;
    generation.provenance.last_feedback = last;
    ASSERT_TRUE(store->put_generation(shared, generation));
  }
  EXPECT_EQ(store->forget(kAnn).value().tainted_generations, std::vector<uint64_t>{1});
  EXPECT_TRUE(store->find_generation(shared, 1).value().is_tainted);
  EXPECT_FALSE(store->find_generation(shared, 2).value().is_tainted);

  const std::vector<Tombstone> open_ones = store->open_tombstones(kAnn.tenant()).value();
  ASSERT_EQ(open_ones.size(), 1u);
  EXPECT_EQ(open_ones[0].user_digest, tombstone_digest(kAnn));
  EXPECT_EQ(open_ones[0].first_feedback, anns);
  EXPECT_EQ(open_ones[0].last_feedback, anns);
  EXPECT_TRUE(store->open_tombstones(tenant_named("other")).value().empty());
  EXPECT_FALSE(store->close_tombstone(tenant_named("other"), open_ones[0].id));
  EXPECT_TRUE(store->close_tombstone(kAnn.tenant(), open_ones[0].id));
  EXPECT_TRUE(store->open_tombstones(kAnn.tenant()).value().empty());
}

TEST_F(Forget, MayBeRepeatedAndLearnsAnew) {
  auto store = open();
  const int64_t old_id = store->append_feedback(kAnn, feedback_of("1")).value().id;
  ASSERT_TRUE(store->forget(kAnn));
  EXPECT_EQ(store->forget(kAnn).value().num_feedback, 0u);
  const Appended anew = store->append_feedback(kAnn, feedback_of("1")).value();
  EXPECT_TRUE(anew.is_new);
  EXPECT_GT(anew.id, old_id);  // so that nobody who reads on from an id misses it
}

TEST_F(Forget, HoldsAgainstAnOldArchive) {
  auto store = open();
  teach(*store);
  ASSERT_TRUE(store->export_archive(kAnn.tenant(), path("archive")));
  ASSERT_TRUE(store->forget(kAnn));
  const TransferReport report = store->import_archive(kAnn.tenant(), path("archive")).value();
  EXPECT_EQ(report.num_feedback, 0u);
  EXPECT_EQ(report.num_known, 121u);  // bob's
  EXPECT_EQ(report.num_forgotten, 126u);
  EXPECT_FALSE(is_anywhere_in(state(), kSecret));
  EXPECT_EQ(store->list_users(kAnn.tenant()).value(), std::vector<std::string>{"bob"});
}

}  // namespace
}  // namespace ruvllm::sona
