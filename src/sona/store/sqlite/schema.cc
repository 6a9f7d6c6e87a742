#include "sona/store/sqlite/schema.h"

#include <array>
#include <string>
#include <string_view>

namespace ruvllm::sona {
namespace {

// Names of owners are unique per tenant; all other rows name their owner. Ids of AUTOINCREMENT are
// never used again, so that "all after id n" misses nothing.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE owners(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  current INTEGER NOT NULL DEFAULT 0,
  last_generation INTEGER NOT NULL DEFAULT 0,
  UNIQUE(tenant, user));
CREATE TABLE feedback(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner INTEGER NOT NULL REFERENCES owners(id),
  idempotency_key TEXT NOT NULL,
  response_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  payload BLOB NOT NULL,
  checksum BLOB NOT NULL,
  UNIQUE(owner, idempotency_key));
CREATE INDEX feedback_of_owner ON feedback(owner, id);
CREATE TABLE trajectories(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner INTEGER NOT NULL REFERENCES owners(id),
  response_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  payload BLOB NOT NULL,
  checksum BLOB NOT NULL,
  UNIQUE(owner, response_id));
CREATE INDEX trajectories_of_owner ON trajectories(owner, id);
CREATE TABLE blobs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  content BLOB NOT NULL,
  UNIQUE(tenant, sha256));
CREATE TABLE generations(
  owner INTEGER NOT NULL REFERENCES owners(id),
  number INTEGER NOT NULL,
  parent INTEGER NOT NULL,
  first_feedback INTEGER NOT NULL,
  last_feedback INTEGER NOT NULL,
  loss_before REAL,
  loss_after REAL,
  interval_low REAL,
  interval_high REAL,
  num_tokens INTEGER NOT NULL,
  program TEXT NOT NULL,
  model TEXT NOT NULL,
  strategy TEXT NOT NULL,
  time_us INTEGER NOT NULL,
  checksum BLOB NOT NULL,
  PRIMARY KEY(owner, number));
CREATE TABLE generation_blobs(
  owner INTEGER NOT NULL,
  number INTEGER NOT NULL,
  role TEXT NOT NULL,
  blob INTEGER NOT NULL REFERENCES blobs(id),
  PRIMARY KEY(owner, number, role),
  FOREIGN KEY(owner, number) REFERENCES generations(owner, number) ON DELETE CASCADE);
CREATE INDEX generations_of_blob ON generation_blobs(blob);
)sql";

// Forgetting: what is left of a user, and which shared generations learned from them.
constexpr const char* kVersion2 = R"sql(
CREATE TABLE tombstones(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  user_digest BLOB NOT NULL,
  time_us INTEGER NOT NULL,
  first_feedback INTEGER NOT NULL,
  last_feedback INTEGER NOT NULL,
  is_scrubbed INTEGER NOT NULL DEFAULT 0,
  is_rebuilt INTEGER NOT NULL DEFAULT 0);
CREATE INDEX tombstones_of_user ON tombstones(tenant, user_digest);
ALTER TABLE generations ADD COLUMN is_tainted INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr std::array<const char*, kSchemaVersion> kSteps{kVersion1, kVersion2};

// All that a file defines, by name: the words of its tables and indexes, and of anything else.
Result<std::string> definitions_of(Database& database) {
  RUVLLM_ASSIGN(Statement select,
                database.prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY "
                                 "name, type"));
  std::string out;
  while (true) {
    RUVLLM_ASSIGN(const bool is_row, select.step());
    if (!is_row) return out;
    out += fmt::format("{} {}: {}\n", select.text(0), select.text(1), select.text(2));
  }
}

Status check_definitions(Database& database) {
  RUVLLM_ASSIGN(const int64_t version, schema_version(database));
  if (version > kSchemaVersion) return {};  // not known here; migrate() says so
  RUVLLM_ASSIGN(Database fresh, Database::open({.path = ":memory:", .is_created = true}));
  RUVLLM_TRY(migrate(fresh, version));
  RUVLLM_ASSIGN(const std::string expected, definitions_of(fresh));
  RUVLLM_ASSIGN(const std::string found, definitions_of(database));
  if (version > 0 && found == expected) return {};
  return fail(ErrorCode::kCorrupt, "{}: what it defines is not what version {} does",
              database.path(), version);
}

}  // namespace

Result<int64_t> schema_version(Database& database) {
  return database.integer_of("PRAGMA user_version");
}

Status migrate(Database& database, int64_t version) {
  RUVLLM_ASSIGN(Transaction transaction, Transaction::begin(database));
  RUVLLM_ASSIGN(int64_t has, schema_version(database));
  if (has < 0 || has > kSchemaVersion) {
    return fail(ErrorCode::kUnsupported,
                "{}: its tables have version {}, this program knows versions up to {}; use the "
                "program that wrote it, or a newer one",
                database.path(), has, kSchemaVersion);
  }
  for (; has < version; ++has) RUVLLM_TRY(database.execute(kSteps[static_cast<size_t>(has)]));
  RUVLLM_TRY(database.execute(
      fmt::format("PRAGMA user_version={}; PRAGMA application_id={}", has, kApplicationId)));
  return transaction.commit();
}

Status check_integrity(Database& database) {
  {
    RUVLLM_ASSIGN(Statement check, database.prepare("PRAGMA integrity_check(1)"));
    RUVLLM_ASSIGN(const bool is_row, check.step());
    const std::string verdict = is_row ? check.text(0) : "no answer";
    if (verdict != "ok") {
      return fail(ErrorCode::kCorrupt, "{}: damaged: {}", database.path(), verdict);
    }
  }
  {
    RUVLLM_ASSIGN(Statement check, database.prepare("PRAGMA foreign_key_check"));
    RUVLLM_ASSIGN(const bool is_row, check.step());
    if (is_row) {
      return fail(ErrorCode::kCorrupt, "{}: damaged: row {} of {} refers to nothing",
                  database.path(), check.integer(1), check.text(0));
    }
  }
  RUVLLM_ASSIGN(const int64_t id, database.integer_of("PRAGMA application_id"));
  if (id != kApplicationId) {
    return fail(ErrorCode::kCorrupt, "{}: its header names application {}, not this one ({})",
                database.path(), id, kApplicationId);
  }
  return check_definitions(database);
}

}  // namespace ruvllm::sona
