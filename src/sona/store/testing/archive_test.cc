#include <cstring>
#include <filesystem>
#include <limits>

#include "sona/store/archive/archive_reader.h"
#include "sona/store/archive/archive_writer.h"
#include "sona/store/testing/store_fixture.h"

namespace ruvllm::sona {
namespace {

using Archive = StoreTest;

const Owner kAnn = owner_named("acme", "ann");
const Owner kShared = Owner::shared(tenant_named("acme"));

void fill(LearnedStateStore& store) {
  ASSERT_TRUE(store.append_feedback(owner_named("another", "ann"), feedback_of("shifts ids")));
  ASSERT_TRUE(store.append_feedback(kAnn, feedback_of("1", "one")));
  const int64_t id = store.append_feedback(kAnn, feedback_of("2", "two")).value().id;
  ASSERT_TRUE(store.put_trajectory(kAnn, {.response_id = "response", .payload = "trace"}));
  NewGeneration generation = generation_of(0, "adapter");
  generation.provenance.first_feedback = id;
  generation.provenance.last_feedback = id;
  generation.provenance.figures.loss_before = 1.5;
  ASSERT_TRUE(store.put_generation(kAnn, generation));
  ASSERT_TRUE(store.put_generation(kAnn, generation_of(1, "")));
  ASSERT_TRUE(store.swap_current(kAnn, 0, 2));
  ASSERT_TRUE(store.put_generation(kShared, generation_of(0, "shared adapter")));
}

// An archive of these records, whole as far as its checksum goes.
std::string archive_of(const std::string& path, const std::vector<ArchiveRecord>& records) {
  ArchiveWriter writer = ArchiveWriter::create(path).value();
  for (const ArchiveRecord& record : records) EXPECT_TRUE(writer.add(record));
  EXPECT_TRUE(writer.finish());
  return path;
}

TEST_F(Archive, BringsEverythingToAnotherTenant) {
  auto store = open();
  fill(*store);
  const TransferReport out = store->export_archive(kAnn.tenant(), path("archive")).value();
  EXPECT_EQ(out.num_feedback, 2u);
  EXPECT_EQ(out.num_trajectories, 1u);
  EXPECT_EQ(out.num_generations, 3u);
  EXPECT_EQ(out.num_blobs, 3u);

  const Owner moved = owner_named("new", "ann");
  const TransferReport in = store->import_archive(moved.tenant(), path("archive")).value();
  EXPECT_EQ(in.num_feedback, 2u);
  EXPECT_EQ(in.num_generations, 3u);
  const FeedbackPage page = store->read_feedback(moved, 0, 10).value();
  ASSERT_EQ(page.rows.size(), 2u);
  EXPECT_EQ(page.rows[1].content.payload, "two");
  const Generation generation = store->find_generation(moved, 1).value();
  EXPECT_EQ(generation.provenance.first_feedback, page.rows[1].id);  // its number here
  EXPECT_EQ(generation.provenance.last_feedback, page.rows[1].id);
  EXPECT_EQ(generation.provenance.figures.loss_before, 1.5);
  EXPECT_TRUE(store->read_blob(moved, generation.blobs.at(0).sha256));
  EXPECT_EQ(store->current_generation(moved).value(), 2u);
  EXPECT_EQ(store->find_trajectory(moved, "response").value().payload, "trace");
  EXPECT_EQ(store->list_generations(Owner::shared(moved.tenant())).value().size(), 1u);

  const TransferReport again = store->import_archive(moved.tenant(), path("archive")).value();
  EXPECT_EQ(again.num_known, 5u);
  EXPECT_EQ(again.num_feedback, 0u);
  EXPECT_EQ(store->count(moved.tenant()).value().num_feedback, 2u);
}

TEST_F(Archive, RefusesOtherGenerationsOfTheSameNumberAndChangesNothing) {
  auto store = open();
  fill(*store);
  ASSERT_TRUE(store->export_archive(kAnn.tenant(), path("archive")));
  const Owner taken = owner_named("new", "ann");
  ASSERT_TRUE(store->put_generation(taken, generation_of(0, "its own")));
  EXPECT_EQ(store->import_archive(taken.tenant(), path("archive")).error().code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->count(taken.tenant()).value().num_feedback, 0u);
}

TEST_F(Archive, FindsEveryDamagedByteAndEveryCut) {
  auto store = open();
  fill(*store);
  ASSERT_TRUE(store->export_archive(kAnn.tenant(), path("archive")));
  const std::string whole = read_whole(path("archive"));
  const size_t step = RUVLLM_SANITIZED ? 7 : 1;
  for (size_t i = 0; i < whole.size(); i += step) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    write_whole(path("damaged"), damaged);
    EXPECT_FALSE(store->import_archive(tenant_named("new"), path("damaged"))) << i;
    write_whole(path("damaged"), whole.substr(0, i));
    EXPECT_FALSE(store->import_archive(tenant_named("new"), path("damaged"))) << i;
  }
  write_whole(path("damaged"), whole + "x");
  EXPECT_FALSE(store->import_archive(tenant_named("new"), path("damaged")));
  EXPECT_EQ(store->import_archive(tenant_named("new"), path("none")).error().code(),
            ErrorCode::kNotFound);
  EXPECT_EQ(store->count(tenant_named("new")).value().num_users, 0u);
}

TEST_F(Archive, BelievesNoRecordForItsChecksum) {
  auto store = open();
  const auto refuses = [&](const std::vector<ArchiveRecord>& records) {
    const auto result =
        store->import_archive(tenant_named("new"), archive_of(path("hostile"), records));
    EXPECT_FALSE(result);
    if (result) return;
    EXPECT_NE(result.error().message().find("hostile, record"), std::string::npos);
  };
  const std::string long_name(300, 'x');
  const Provenance good = generation_of(0, "").provenance;
  refuses({ArchivedFeedback{"a\nb", 1, feedback_of("1")}});
  refuses({ArchivedFeedback{long_name, 1, feedback_of("1")}});
  refuses({ArchivedFeedback{"ann", 0, feedback_of("1")}});
  refuses({ArchivedFeedback{"ann", 1, feedback_of("")}});
  refuses({ArchivedFeedback{"ann", 1, feedback_of("1")},
           ArchivedFeedback{"ann", 2, feedback_of("1", "other")}});
  refuses({ArchivedBlob{Sha256{}, bytes_of("not of this name")}});
  refuses({ArchivedGeneration{"ann", 0, good, {}}});
  refuses({ArchivedGeneration{"ann", ~uint64_t{0}, good, {}}});
  refuses({ArchivedGeneration{"ann", 1, good, {{"adapter", Sha256{}}}}});
  Provenance own_parent = good;
  own_parent.parent = 1;
  refuses({ArchivedGeneration{"ann", 1, own_parent, {}}});
  Provenance infinite = good;
  infinite.figures.loss_before = std::numeric_limits<double>::infinity();
  refuses({ArchivedGeneration{"ann", 1, infinite, {}}});
  refuses({ArchivedCurrent{"ann", 7}});
  EXPECT_EQ(store->count(tenant_named("new")).value().num_users, 0u);
}

// Bytes that are no records, behind a right checksum.
TEST_F(Archive, ReadsNothingBeyondARecord) {
  const std::string from = archive_of(path("one"), {ArchivedFeedback{"ann", 1, feedback_of("1")}});
  const std::string whole = read_whole(from);
  auto store = open();
  for (size_t i = kArchiveHeaderBytes; i + kArchiveEndBytes < whole.size(); ++i) {
    for (const int value : {0x00, 0x7f, 0xff}) {
      std::string hostile = whole;
      hostile[i] = static_cast<char>(value);
      if (hostile == whole) continue;
      const size_t end = hostile.size() - kArchiveEndBytes;
      const Sha256 sha256 = sha256_of(bytes_of(std::string_view(hostile).substr(0, end)));
      std::memcpy(hostile.data() + hostile.size() - 32, sha256.bytes.data(), 32);
      write_whole(path("hostile"), hostile);
      ArchiveReader reader = ArchiveReader::open(path("hostile")).value();
      const auto record = reader.next();
      if (!record) {
        EXPECT_EQ(record.error().message().find(path("hostile")), 0u) << i;
      } else if (*record) {
        EXPECT_FALSE(reader.next().value()) << i;
      }
    }
  }
}

TEST_F(Archive, LeavesNothingOfAnUnfinishedOne) {
  {
    ArchiveWriter writer = ArchiveWriter::create(path("folder-archive")).value();
  }
  EXPECT_FALSE(std::filesystem::exists(path("folder-archive")));
  EXPECT_TRUE(std::filesystem::is_empty(path("")));
}

}  // namespace
}  // namespace ruvllm::sona
