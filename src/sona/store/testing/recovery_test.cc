#include <filesystem>
#include <set>

#include "base/numeric/random_stream.h"
#include "sona/store/files/durable_files.h"
#include "sona/store/sqlite/schema.h"
#include "sona/store/testing/store_fixture.h"

namespace ruvllm::sona {
namespace {

using Recovery = StoreTest;
namespace fs = std::filesystem;

const Owner kAnn = owner_named("acme", "ann");
constexpr int kNumRows = 40;

std::string payload(int i) { return "payload " + std::to_string(i) + std::string(100, 'p'); }

void teach(LearnedStateStore& store, int first, int last) {
  for (int i = first; i < last; ++i) {
    ASSERT_TRUE(store.append_feedback(kAnn, feedback_of(std::to_string(i), payload(i))));
  }
}

size_t num_rows(LearnedStateStore& store) {
  return store.read_feedback(kAnn, 0, 1000).value().rows.size();
}

TEST_F(Recovery, RestoresTheBackupAndSaysSo) {
  auto store = open();
  teach(*store, 0, 10);
  ASSERT_TRUE(store->back_up());
  teach(*store, 10, 20);
  store = nullptr;
  write_whole(database(), "this is no database");
  Result<OpenedStore> opened = try_open();
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(num_rows(*opened->store), 10u);
  EXPECT_EQ(read_whole(opened->recovery.quarantined), "this is no database");
  EXPECT_EQ(opened->recovery.restored_from, state() + "/backups/learned.db");
  for (const char* part : {"learned.db", "quarantine/1-learned.db", "Restored from", "missing"}) {
    EXPECT_NE(opened->recovery.message.find(part), std::string::npos) << part;
  }
  opened->store = nullptr;
  EXPECT_EQ(num_rows(*open()), 10u);  // and that was all
}

TEST_F(Recovery, StartsEmptyWithoutABackupAndSaysSo) {
  auto store = open();
  teach(*store, 0, 10);
  store = nullptr;
  fs::resize_file(database(), 0);
  Result<OpenedStore> opened = try_open();
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_NE(opened->recovery.message.find("no backup"), std::string::npos);
  EXPECT_EQ(opened->recovery.restored_from, "");
  EXPECT_EQ(num_rows(*opened->store), 0u);

  ASSERT_TRUE(opened->store->back_up());
  opened->store = nullptr;
  write_whole(database(), std::string(5000, 'x'));
  write_whole(state() + "/backups/learned.db", std::string(5000, 'y'));
  opened = try_open();
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_NE(opened->recovery.message.find("backup is damaged too"), std::string::npos);
  EXPECT_TRUE(fs::exists(state() + "/quarantine/2-learned.db"));
}

TEST_F(Recovery, RestoresWhatIsGone) {
  auto store = open();
  teach(*store, 0, 10);
  ASSERT_TRUE(store->back_up());
  store = nullptr;
  fs::remove(database());
  write_whole(database() + "-wal", "of another database");
  Result<OpenedStore> opened = try_open();
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_NE(opened->recovery.message.find("gone"), std::string::npos);
  EXPECT_EQ(num_rows(*opened->store), 10u);
  EXPECT_TRUE(fs::exists(opened->recovery.quarantined + "-wal"));
}

TEST_F(Recovery, KeepsTheOldBackupIfTheDatabaseCannotBeCopied) {
  auto store = open();
  teach(*store, 0, 10);
  ASSERT_TRUE(store->back_up());
  const std::string before = read_whole(state() + "/backups/learned.db");
  fs::create_directories(state() + "/backups/learned.db.new/in-the-way");
  EXPECT_FALSE(store->back_up());
  EXPECT_EQ(read_whole(state() + "/backups/learned.db"), before);
}

// Any damage is repaired from the backup or shows as rows left out by name: no row is ever wrong,
// none is missing without a word.
TEST_F(Recovery, LetsNoDamageThroughSilently) {
  auto store = open();
  teach(*store, 0, kNumRows);
  ASSERT_TRUE(store->put_generation(kAnn, generation_of(0, "adapter")));
  ASSERT_TRUE(store->back_up());
  store = nullptr;
  const std::string whole = read_whole(database());
  const RandomStream random(1);
  const uint64_t num_rounds = RUVLLM_SANITIZED ? 60 : 300;
  uint64_t num_restored = 0;
  uint64_t num_reported = 0;
  for (uint64_t round = 0; round < num_rounds; ++round) {
    std::string damaged = whole;
    const size_t place = random.bits(3 * round) % whole.size();
    const size_t page = place / 4096 * 4096;
    const uint64_t value = random.bits(3 * round + 1);
    switch (round % 6) {
      case 0:
        damaged.resize(place);
        break;
      case 1:
        std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(page), 4096, '\0');
        break;
      case 2: {
        const size_t other = value % (whole.size() / 4096) * 4096;
        damaged.replace(page, 4096, whole, other, 4096);
        damaged.replace(other, 4096, whole, page, 4096);
        break;
      }
      default:
        damaged[place] = static_cast<char>(damaged[place] ^ (1 << (value % 8)));
    }
    write_whole(database(), damaged);
    Result<OpenedStore> opened = try_open();
    // A changed version number is refused, for it may be true.
    if (!opened) {
      EXPECT_EQ(opened.error().code(), ErrorCode::kUnsupported) << opened.error().message();
      fs::remove(database());
      continue;
    }
    if (!opened->recovery.restored_from.empty()) ++num_restored;
    EXPECT_EQ(opened->recovery.message.empty(), opened->recovery.quarantined.empty())
        << opened->recovery.message << " round " << round;
    const Result<FeedbackPage> page_read = opened->store->read_feedback(kAnn, 0, 1000);
    if (!page_read) continue;  // found while reading
    num_reported += page_read->damaged_ids.size();
    EXPECT_EQ(page_read->rows.size() + page_read->damaged_ids.size(), size_t{kNumRows}) << round;
    std::set<std::string> keys;
    for (const Feedback& row : page_read->rows) {
      EXPECT_EQ(row.content.payload, payload(std::stoi(row.content.idempotency_key)));
      EXPECT_TRUE(keys.insert(row.content.idempotency_key).second);
    }
    opened->store = nullptr;
    fs::remove_all(state() + "/quarantine");
  }
  EXPECT_GT(num_restored, num_rounds / 4);
  EXPECT_GT(num_reported, 0u);
}

// SQLite stops at the first part of its log that is damaged: what is read is a beginning.
TEST_F(Recovery, ReadsADamagedLogUpToTheDamage) {
  auto store = open();
  teach(*store, 0, kNumRows);
  fs::create_directories(path("copy"));
  for (const char* name : {"/learned.db", "/learned.db-wal"}) {
    fs::copy_file(state() + name, path("copy") + name);
  }
  const std::string log = read_whole(path("copy/learned.db-wal"));
  const std::string base = read_whole(path("copy/learned.db"));
  ASSERT_GT(log.size(), 100'000u);
  const RandomStream random(2);
  for (uint64_t round = 0; round < 40; ++round) {
    std::string damaged = log;
    const size_t place = random.bits(round) % log.size();
    if (round % 2 == 0) {
      damaged.resize(place);
    } else {
      damaged[place] = static_cast<char>(damaged[place] ^ 0x10);
    }
    write_whole(path("copy/learned.db"), base);
    write_whole(path("copy/learned.db-wal"), damaged);
    fs::remove(path("copy/learned.db-shm"));
    Result<OpenedStore> opened = open_sqlite_store({.folder = path("copy")});
    ASSERT_TRUE(opened) << opened.error().message();
    const FeedbackPage page = opened->store->read_feedback(kAnn, 0, 1000).value();
    EXPECT_TRUE(page.damaged_ids.empty());
    for (size_t i = 0; i < page.rows.size(); ++i) {
      EXPECT_EQ(page.rows[i].content.payload, payload(static_cast<int>(i)));
    }
    opened->store = nullptr;
  }
}

TEST_F(Recovery, MigratesFromVersion1) {
  fs::create_directories(state());
  {
    Database old = Database::open({.path = database(), .is_created = true}).value();
    ASSERT_TRUE(migrate(old, 1));
    ASSERT_EQ(schema_version(old).value(), 1);
    const NewFeedback feedback = feedback_of("key", "old");
    const RowChecksum checksum = checksum_of(kAnn.tenant(), kAnn.user(), feedback);
    ASSERT_TRUE(old.execute("INSERT INTO owners(tenant, user) VALUES('acme', 'ann')"));
    Statement insert = old.prepare(
                              "INSERT INTO feedback VALUES(5, 1, 'key', 'response', 2, 5, "
                              "'old', ?1)")
                           .value();
    ASSERT_TRUE(insert.bind(std::span<const std::byte>(checksum)).run());
    const Provenance provenance = generation_of(0, "").provenance;
    const RowChecksum other = checksum_of(kAnn, 1, provenance);
    Statement generation = old.prepare(
                                  "INSERT INTO generations VALUES(1, 1, 0, 0, 0, NULL, NULL, "
                                  "NULL, NULL, 0, '1.0', 'demo', 'instant', 5, ?1)")
                               .value();
    ASSERT_TRUE(generation.bind(std::span<const std::byte>(other)).run());
  }
  auto store = open();
  const FeedbackPage page = store->read_feedback(kAnn, 0, 10).value();
  ASSERT_EQ(page.rows.size(), 1u);
  EXPECT_EQ(page.rows[0].id, 5);
  EXPECT_EQ(page.rows[0].content.payload, "old");
  EXPECT_FALSE(store->find_generation(kAnn, 1).value().is_tainted);
  EXPECT_EQ(store->append_feedback(kAnn, feedback_of("new")).value().id, 6);
  {
    Database before = Database::open({.path = state() + "/backups/version-1.db"}).value();
    EXPECT_EQ(schema_version(before).value(), 1);
    EXPECT_EQ(before.integer_of("SELECT count(*) FROM feedback").value(), 1);
  }
  EXPECT_EQ(store->forget(kAnn).value().removed_files,
            std::vector<std::string>{state() + "/backups/version-1.db"});
}

TEST_F(Recovery, RefusesALaterVersionAndLeavesItAlone) {
  open() = nullptr;
  {
    Database later = Database::open({.path = database()}).value();
    ASSERT_TRUE(later.execute("PRAGMA user_version=99"));
  }
  const std::string before = read_whole(database());
  const Result<OpenedStore> opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kUnsupported);
  EXPECT_NE(opened.error().message().find("version 99"), std::string::npos);
  EXPECT_EQ(read_whole(database()), before);
}

TEST_F(Recovery, TakesNoDatabaseWithTriggers) {
  open() = nullptr;
  {
    Database hostile = Database::open({.path = database()}).value();
    ASSERT_TRUE(
        hostile.execute("CREATE TRIGGER t AFTER INSERT ON feedback BEGIN "
                        "UPDATE feedback SET owner=1; END"));
  }
  Result<OpenedStore> opened = try_open();
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_NE(opened->recovery.quarantined, "");
}

TEST_F(Recovery, WaitsForWhoIsChecking) {
  open() = nullptr;
  FolderLock lock = FolderLock::open(state() + "/lock").value();
  ASSERT_TRUE(lock.try_lock(FolderLock::Mode::kExclusive).value());
  const Result<OpenedStore> opened = open_sqlite_store({.folder = state(), .wait_ms = 30});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace ruvllm::sona
