#include "sona/store/sqlite/rows/forget.h"

#include <algorithm>

#include "sona/store/sqlite/rows/generation_rows.h"
#include "sona/store/sqlite/rows/owner_rows.h"

namespace ruvllm::sona {
namespace {

// Shared generations whose window holds at least one row of the owner.
Result<std::vector<uint64_t>> taint_shared(Database& database, const Owner& owner, int64_t id) {
  std::vector<uint64_t> tainted;
  RUVLLM_ASSIGN(const std::optional<OwnerRow> shared,
                find_owner(database, Owner::shared(owner.tenant())));
  if (!shared || owner.is_shared()) return tainted;
  RUVLLM_ASSIGN(Statement select,
                database.prepare("SELECT number FROM generations g WHERE g.owner=?1 AND EXISTS("
                                 "SELECT 1 FROM feedback f WHERE f.owner=?2 AND f.id BETWEEN "
                                 "g.first_feedback AND g.last_feedback) ORDER BY number"));
  select.bind(shared->id).bind(id);
  while (true) {
    RUVLLM_ASSIGN(const bool is_row, select.step());
    if (!is_row) break;
    tainted.push_back(select.count(0));
  }
  for (const uint64_t number : tainted) {
    RUVLLM_ASSIGN(Statement update, database.prepare("UPDATE generations SET is_tainted=1 WHERE "
                                                     "owner=?1 AND number=?2"));
    RUVLLM_TRY(update.bind(shared->id).bind(number).run());
  }
  return tainted;
}

Status add_tombstone(Database& database, const Owner& owner, int64_t id, uint64_t time_us) {
  RUVLLM_ASSIGN(Statement insert,
                database.prepare(
                    "INSERT INTO tombstones(tenant, user_digest, time_us, first_feedback, "
                    "last_feedback) SELECT ?1, ?2, ?3, coalesce(min(id), 0), coalesce(max(id), 0) "
                    "FROM feedback WHERE owner=?4"));
  const Sha256 digest = tombstone_digest(owner);
  return insert.bind(std::string_view(owner.tenant().name()))
      .bind(std::span<const std::byte>(digest.bytes))
      .bind(time_us)
      .bind(id)
      .run();
}

Result<uint64_t> delete_rows(Database& database, std::string_view sql, int64_t owner) {
  RUVLLM_ASSIGN(Statement remove, database.prepare(sql));
  RUVLLM_TRY(remove.bind(owner).run());
  return static_cast<uint64_t>(database.num_changed());
}

}  // namespace

Result<ForgetReport> delete_owner(Database& database, const Owner& owner, uint64_t time_us) {
  ForgetReport report;
  RUVLLM_ASSIGN(const std::optional<OwnerRow> row, find_owner(database, owner));
  if (!row) return report;
  RUVLLM_ASSIGN(report.tainted_generations, taint_shared(database, owner, row->id));
  RUVLLM_TRY(add_tombstone(database, owner, row->id, time_us));
  std::vector<uint64_t> numbers;
  {
    RUVLLM_ASSIGN(Statement select,
                  database.prepare("SELECT number FROM generations WHERE owner=?1"));
    select.bind(row->id);
    while (true) {
      RUVLLM_ASSIGN(const bool is_row, select.step());
      if (!is_row) break;
      numbers.push_back(select.count(0));
    }
  }
  report.num_generations = numbers.size();
  RUVLLM_ASSIGN(report.num_blobs, delete_generations(database, owner, numbers));
  RUVLLM_ASSIGN(report.num_feedback,
                delete_rows(database, "DELETE FROM feedback WHERE owner=?1", row->id));
  RUVLLM_ASSIGN(report.num_trajectories,
                delete_rows(database, "DELETE FROM trajectories WHERE owner=?1", row->id));
  RUVLLM_TRY(delete_rows(database, "DELETE FROM owners WHERE id=?1", row->id));
  return report;
}

Result<bool> needs_scrubbing(Database& database) {
  RUVLLM_ASSIGN(const int64_t is_needed,
                database.integer_of("SELECT EXISTS(SELECT 1 FROM tombstones WHERE is_scrubbed=0)"));
  return is_needed != 0;
}

Status mark_scrubbed(Database& database) {
  return database.execute("UPDATE tombstones SET is_scrubbed=1 WHERE is_scrubbed=0");
}

Result<std::vector<Tombstone>> open_tombstone_rows(Database& database, const Tenant& tenant) {
  RUVLLM_ASSIGN(Statement select,
                database.prepare("SELECT id, user_digest, time_us, first_feedback, last_feedback "
                                 "FROM tombstones WHERE tenant=?1 AND is_rebuilt=0 ORDER BY id"));
  select.bind(std::string_view(tenant.name()));
  std::vector<Tombstone> out;
  while (true) {
    RUVLLM_ASSIGN(const bool is_row, select.step());
    if (!is_row) return out;
    Tombstone tombstone{.id = select.integer(0),
                        .user_digest = {},
                        .time_us = select.count(2),
                        .first_feedback = select.integer(3),
                        .last_feedback = select.integer(4)};
    const std::span<const std::byte> digest = select.bytes(1);
    auto& bytes = tombstone.user_digest.bytes;
    std::ranges::copy(digest.first(std::min(digest.size(), bytes.size())), bytes.begin());
    out.push_back(tombstone);
  }
}

Status close_tombstone_row(Database& database, const Tenant& tenant, int64_t id) {
  RUVLLM_ASSIGN(Statement update, database.prepare("UPDATE tombstones SET is_rebuilt=1 WHERE "
                                                   "tenant=?1 AND id=?2"));
  RUVLLM_TRY(update.bind(std::string_view(tenant.name())).bind(id).run());
  if (database.num_changed() == 1) return {};
  return fail(ErrorCode::kNotFound, "tombstone {}: the tenant has none of this id", id);
}

Result<std::optional<uint64_t>> forgotten_at(Database& database, const Owner& owner) {
  RUVLLM_ASSIGN(Statement select,
                database.prepare("SELECT time_us FROM tombstones WHERE tenant=?1 AND "
                                 "user_digest=?2 ORDER BY time_us DESC LIMIT 1"));
  const Sha256 digest = tombstone_digest(owner);
  RUVLLM_ASSIGN(const bool is_there, select.bind(std::string_view(owner.tenant().name()))
                                         .bind(std::span<const std::byte>(digest.bytes))
                                         .step());
  if (!is_there) return std::nullopt;
  return select.count(0);
}

}  // namespace ruvllm::sona
