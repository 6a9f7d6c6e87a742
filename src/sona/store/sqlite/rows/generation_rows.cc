#include "sona/store/sqlite/rows/generation_rows.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "sona/store/sqlite/rows/owner_rows.h"

namespace ruvllm::sona {
namespace {

std::unexpected<Error> no_generation(const Owner& owner, uint64_t number) {
  return fail(ErrorCode::kNotFound, "user {}: there is no generation {}; it may have been pruned",
              owner.user(), number);
}

// The blob with these bytes, stored if the tenant has none of them.
Result<int64_t> store_blob(Database& database, const Tenant& tenant,
                           std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxBlobBytes) {
    return fail(ErrorCode::kInvalidArgument, "a blob of {} bytes; at most {} are allowed",
                bytes.size(), kMaxBlobBytes);
  }
  const Sha256 sha256 = sha256_of(bytes);
  const std::span<const std::byte> name(sha256.bytes);
  {
    RUVLLM_ASSIGN(Statement find,
                  database.prepare("SELECT id FROM blobs WHERE tenant=?1 AND sha256=?2"));
    RUVLLM_ASSIGN(const bool is_there,
                  find.bind(std::string_view(tenant.name())).bind(name).step());
    if (is_there) return find.integer(0);
  }
  RUVLLM_ASSIGN(Statement insert,
                database.prepare("INSERT INTO blobs(tenant, sha256, content) VALUES(?1, ?2, ?3)"));
  RUVLLM_TRY(insert.bind(std::string_view(tenant.name())).bind(name).bind(bytes).run());
  return database.last_id();
}

constexpr std::string_view kFindBlob =
    "SELECT b.id, b.content FROM owners o JOIN generation_blobs g ON g.owner=o.id "
    "JOIN blobs b ON b.id=g.blob WHERE o.tenant=?1 AND o.user=?2 AND b.tenant=?1 "
    "AND b.sha256=?3 LIMIT 1";

Statement& bind_blob(Statement& find, const Owner& owner, const Sha256& sha256) {
  return find.bind(std::string_view(owner.tenant().name()))
      .bind(std::string_view(owner.user()))
      .bind(std::span<const std::byte>(sha256.bytes));
}

std::unexpected<Error> no_blob(const Owner& owner, const Sha256& sha256) {
  return fail(ErrorCode::kNotFound, "user {}: no generation has a blob {}", owner.user(),
              sha256.hex());
}

Result<int64_t> find_blob(Database& database, const Owner& owner, const Sha256& sha256) {
  RUVLLM_ASSIGN(Statement find, database.prepare(kFindBlob));
  RUVLLM_ASSIGN(const bool is_there, bind_blob(find, owner, sha256).step());
  if (!is_there) return no_blob(owner, sha256);
  return find.integer(0);
}

Status check_blobs(const std::vector<BlobInput>& blobs) {
  if (blobs.size() > kMaxBlobsPerGeneration) {
    return fail(ErrorCode::kInvalidArgument, "a generation of {} blobs; at most {} are allowed",
                blobs.size(), kMaxBlobsPerGeneration);
  }
  std::set<std::string_view> roles;
  for (const BlobInput& blob : blobs) {
    RUVLLM_TRY(check_role(blob.role));
    if (!roles.insert(blob.role).second) {
      return fail(ErrorCode::kInvalidArgument, "two blobs of a generation have the role {}",
                  blob.role);
    }
  }
  return {};
}

Status insert_generation(Database& database, const Owner& owner, int64_t id, uint64_t number,
                         const Provenance& from) {
  RUVLLM_ASSIGN(
      Statement insert,
      database.prepare("INSERT INTO generations(owner, number, parent, first_feedback, "
                       "last_feedback, loss_before, loss_after, interval_low, interval_high, "
                       "num_tokens, program, model, strategy, time_us, checksum) "
                       "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"));
  const RowChecksum checksum = checksum_of(owner, number, from);
  insert.bind(id)
      .bind(number)
      .bind(from.parent)
      .bind(from.first_feedback)
      .bind(from.last_feedback)
      .bind(from.figures.loss_before)
      .bind(from.figures.loss_after)
      .bind(from.figures.interval_low)
      .bind(from.figures.interval_high)
      .bind(from.figures.num_tokens)
      .bind(std::string_view(from.program))
      .bind(std::string_view(from.model))
      .bind(std::string_view(from.strategy))
      .bind(from.time_us)
      .bind(std::span<const std::byte>(checksum));
  return insert.run();
}

Result<bool> has_generation(Database& database, int64_t owner, uint64_t number) {
  RUVLLM_ASSIGN(Statement find,
                database.prepare("SELECT 1 FROM generations WHERE owner=?1 AND number=?2"));
  return find.bind(owner).bind(number).step();
}

Status set_current(Database& database, int64_t owner, uint64_t number) {
  RUVLLM_ASSIGN(Statement update, database.prepare("UPDATE owners SET current=?2 WHERE id=?1"));
  return update.bind(owner).bind(number).run();
}

constexpr std::string_view kColumns =
    "SELECT number, parent, first_feedback, last_feedback, loss_before, loss_after, interval_low, "
    "interval_high, num_tokens, program, model, strategy, time_us, checksum, is_tainted FROM "
    "generations WHERE owner=?1 AND number>=?2 ORDER BY number LIMIT 1";

Result<std::vector<BlobReference>> blobs_of(Database& database, int64_t owner, uint64_t number) {
  RUVLLM_ASSIGN(Statement select,
                database.prepare("SELECT role, sha256 FROM generation_blobs g JOIN blobs b ON "
                                 "b.id=g.blob WHERE owner=?1 AND number=?2 ORDER BY role"));
  select.bind(owner).bind(number);
  std::vector<BlobReference> blobs;
  while (true) {
    RUVLLM_ASSIGN(const bool is_row, select.step());
    if (!is_row) return blobs;
    BlobReference blob{.role = select.text(0), .sha256 = {}};
    const std::span<const std::byte> name = select.bytes(1);
    std::ranges::copy(name.first(std::min(name.size(), blob.sha256.bytes.size())),
                      blob.sha256.bytes.begin());
    blobs.push_back(std::move(blob));
  }
}

// The first one from `number` on, or nothing.
Result<std::optional<Generation>> next_generation(Database& database, const Owner& owner,
                                                  int64_t id, uint64_t number) {
  RUVLLM_ASSIGN(Statement select, database.prepare(kColumns));
  RUVLLM_ASSIGN(const bool is_row, select.bind(id).bind(number).step());
  if (!is_row) return std::nullopt;
  Generation out;
  out.number = select.count(0);
  out.provenance = {.parent = select.count(1),
                    .first_feedback = select.integer(2),
                    .last_feedback = select.integer(3),
                    .figures = {.loss_before = select.real(4),
                                .loss_after = select.real(5),
                                .interval_low = select.real(6),
                                .interval_high = select.real(7),
                                .num_tokens = select.count(8)},
                    .program = select.text(9),
                    .model = select.text(10),
                    .strategy = select.text(11),
                    .time_us = select.count(12)};
  if (!std::ranges::equal(checksum_of(owner, out.number, out.provenance), select.bytes(13))) {
    return fail(ErrorCode::kCorrupt, "{}: the row of generation {} does not match its checksum",
                database.path(), out.number);
  }
  out.is_tainted = select.integer(14) != 0;
  RUVLLM_ASSIGN(out.blobs, blobs_of(database, id, out.number));
  return std::optional<Generation>(std::move(out));
}

}  // namespace

Status add_numbered_generation(Database& database, const Owner& owner, uint64_t number,
                               const NewGeneration& generation) {
  RUVLLM_TRY(check_blobs(generation.blobs));
  RUVLLM_ASSIGN(const OwnerRow row, find_or_add_owner(database, owner));
  RUVLLM_TRY(insert_generation(database, owner, row.id, number, generation.provenance));
  for (const BlobInput& blob : generation.blobs) {
    RUVLLM_ASSIGN(const int64_t id, blob.existing
                                        ? find_blob(database, owner, *blob.existing)
                                        : store_blob(database, owner.tenant(), blob.bytes));
    RUVLLM_ASSIGN(Statement insert,
                  database.prepare("INSERT INTO generation_blobs(owner, number, role, blob) "
                                   "VALUES(?1, ?2, ?3, ?4)"));
    RUVLLM_TRY(insert.bind(row.id).bind(number).bind(std::string_view(blob.role)).bind(id).run());
  }
  RUVLLM_ASSIGN(
      Statement update,
      database.prepare("UPDATE owners SET last_generation=max(last_generation, ?2) WHERE id=?1"));
  return update.bind(row.id).bind(number).run();
}

Result<uint64_t> add_generation(Database& database, const Owner& owner,
                                const NewGeneration& generation) {
  RUVLLM_ASSIGN(const OwnerRow row, find_or_add_owner(database, owner));
  const uint64_t parent = generation.provenance.parent;
  if (parent != 0) {
    RUVLLM_ASSIGN(const bool is_there, has_generation(database, row.id, parent));
    if (!is_there) return no_generation(owner, parent);
  }
  const uint64_t number = row.last_generation + 1;
  RUVLLM_TRY(add_numbered_generation(database, owner, number, generation));
  return number;
}

Result<Generation> find_generation_row(Database& database, const Owner& owner, uint64_t number) {
  RUVLLM_ASSIGN(const std::optional<OwnerRow> row, find_owner(database, owner));
  if (!row) return no_generation(owner, number);
  RUVLLM_ASSIGN(std::optional<Generation> found, next_generation(database, owner, row->id, number));
  if (!found || found->number != number) return no_generation(owner, number);
  return *std::move(found);
}

Result<std::vector<Generation>> list_generation_rows(Database& database, const Owner& owner) {
  std::vector<Generation> out;
  RUVLLM_ASSIGN(const std::optional<OwnerRow> row, find_owner(database, owner));
  while (row) {
    const uint64_t next = out.empty() ? 0 : out.back().number + 1;
    RUVLLM_ASSIGN(std::optional<Generation> found, next_generation(database, owner, row->id, next));
    if (!found) break;
    out.push_back(*std::move(found));
  }
  return out;
}

Result<std::vector<std::byte>> read_blob_row(Database& database, const Owner& owner,
                                             const Sha256& sha256) {
  RUVLLM_ASSIGN(Statement find, database.prepare(kFindBlob));
  RUVLLM_ASSIGN(const bool is_there, bind_blob(find, owner, sha256).step());
  if (!is_there) return no_blob(owner, sha256);
  const std::span<const std::byte> content = find.bytes(1);
  if (sha256_of(content) != sha256) {
    return fail(ErrorCode::kCorrupt, "{}: blob {} does not match its name", database.path(),
                sha256.hex());
  }
  return std::vector<std::byte>(content.begin(), content.end());
}

Result<uint64_t> current_of(Database& database, const Owner& owner) {
  RUVLLM_ASSIGN(const std::optional<OwnerRow> row, find_owner(database, owner));
  return row ? row->current : 0;
}

Result<Swapped> swap_current_row(Database& database, const Owner& owner, uint64_t expected,
                                 uint64_t wanted) {
  RUVLLM_ASSIGN(const OwnerRow row, find_or_add_owner(database, owner));
  if (row.current != expected) return Swapped{false, row.current};
  if (wanted != 0) {
    RUVLLM_ASSIGN(const bool is_there, has_generation(database, row.id, wanted));
    if (!is_there) return no_generation(owner, wanted);
  }
  RUVLLM_TRY(set_current(database, row.id, wanted));
  return Swapped{true, wanted};
}

Result<uint64_t> roll_back_row(Database& database, const Owner& owner, size_t num_steps) {
  RUVLLM_ASSIGN(const OwnerRow row, find_or_add_owner(database, owner));
  uint64_t current = row.current;
  for (size_t step = 0; step < num_steps; ++step) {
    if (current == 0) {
      return fail(ErrorCode::kInvalidArgument,
                  "user {}: {} steps back are not possible, the base model is {} back",
                  owner.user(), num_steps, step);
    }
    RUVLLM_ASSIGN(const Generation generation, find_generation_row(database, owner, current));
    current = generation.provenance.parent;
  }
  if (current != 0) {
    RUVLLM_ASSIGN(const bool is_there, has_generation(database, row.id, current));
    if (!is_there) return no_generation(owner, current);
  }
  RUVLLM_TRY(set_current(database, row.id, current));
  return current;
}

Result<uint64_t> delete_generations(Database& database, const Owner& owner,
                                    const std::vector<uint64_t>& numbers) {
  RUVLLM_ASSIGN(const std::optional<OwnerRow> row, find_owner(database, owner));
  if (!row) return 0;
  std::set<int64_t> blobs;
  for (const uint64_t number : numbers) {
    RUVLLM_ASSIGN(Statement select, database.prepare("SELECT blob FROM generation_blobs WHERE "
                                                     "owner=?1 AND number=?2"));
    select.bind(row->id).bind(number);
    while (true) {
      RUVLLM_ASSIGN(const bool is_row, select.step());
      if (!is_row) break;
      blobs.insert(select.integer(0));
    }
    RUVLLM_ASSIGN(Statement remove,
                  database.prepare("DELETE FROM generations WHERE owner=?1 AND number=?2"));
    RUVLLM_TRY(remove.bind(row->id).bind(number).run());
  }
  uint64_t num_blobs = 0;
  for (const int64_t blob : blobs) {
    RUVLLM_ASSIGN(Statement remove,
                  database.prepare("DELETE FROM blobs WHERE id=?1 AND NOT EXISTS(SELECT 1 FROM "
                                   "generation_blobs WHERE blob=?1)"));
    RUVLLM_TRY(remove.bind(blob).run());
    num_blobs += static_cast<uint64_t>(database.num_changed());
  }
  return num_blobs;
}

Result<size_t> prune_generation_rows(Database& database, const Owner& owner, size_t num_kept) {
  RUVLLM_ASSIGN(const uint64_t current, current_of(database, owner));
  RUVLLM_ASSIGN(const std::vector<Generation> all, list_generation_rows(database, owner));
  std::set<uint64_t> kept;
  uint64_t ancestor = current;
  for (size_t i = 0; i <= num_kept && ancestor != 0; ++i) {
    kept.insert(ancestor);
    const auto place = std::ranges::find(all, ancestor, &Generation::number);
    ancestor = place == all.end() ? 0 : place->provenance.parent;
  }
  std::vector<uint64_t> deleted;
  for (size_t i = 0; i + num_kept < all.size(); ++i) {
    if (!kept.contains(all[i].number)) deleted.push_back(all[i].number);
  }
  RUVLLM_TRY(delete_generations(database, owner, deleted));
  return deleted.size();
}

}  // namespace ruvllm::sona
