#include "sona/store/sqlite/rows/feedback_rows.h"

#include <algorithm>
#include <string>

#include "sona/store/sqlite/rows/owner_rows.h"

namespace ruvllm::sona {
namespace {

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

bool matches(const RowChecksum& checksum, std::span<const std::byte> stored) {
  return std::ranges::equal(checksum, stored);
}

Result<std::optional<Appended>> find_key(Database& database, int64_t owner,
                                         const NewFeedback& feedback, const RowChecksum& checksum) {
  RUVLLM_ASSIGN(Statement find, database.prepare("SELECT id, checksum FROM feedback WHERE owner=?1 "
                                                 "AND idempotency_key=?2"));
  find.bind(owner).bind(std::string_view(feedback.idempotency_key));
  RUVLLM_ASSIGN(const bool is_there, find.step());
  if (!is_there) return std::nullopt;
  if (!matches(checksum, find.bytes(1))) {
    return fail(ErrorCode::kInvalidArgument,
                "idempotency key {}: it stands for other feedback already; take a new key",
                feedback.idempotency_key);
  }
  return Appended{find.integer(0), false};
}

// Columns: id, user, key, response, kind, time, payload, checksum.
Result<FeedbackPage> read_page(Statement& select, const Tenant& tenant, int64_t after_id) {
  FeedbackPage page;
  page.last_id = after_id;
  while (true) {
    RUVLLM_ASSIGN(const bool is_row, select.step());
    if (!is_row) return page;
    Feedback row;
    row.id = select.integer(0);
    row.user = select.text(1);
    row.content = {.idempotency_key = select.text(2),
                   .response_id = select.text(3),
                   .kind = static_cast<FeedbackKind>(select.integer(4)),
                   .time_us = select.count(5),
                   .payload = select.text(6)};
    page.last_id = row.id;
    if (matches(checksum_of(tenant, row.user, row.content), select.bytes(7))) {
      page.rows.push_back(std::move(row));
    } else {
      page.damaged_ids.push_back(row.id);
    }
  }
}

// Columns: response, generation, time, payload, checksum, from `first` on.
std::optional<Trajectory> read_trajectory(const Owner& owner, const Statement& select, int first) {
  Trajectory out{.response_id = select.text(first),
                 .generation = select.count(first + 1),
                 .time_us = select.count(first + 2),
                 .payload = select.text(first + 3)};
  if (!matches(checksum_of(owner, out), select.bytes(first + 4))) return std::nullopt;
  return out;
}

}  // namespace

Result<Appended> append_feedback_row(Database& database, const Owner& owner,
                                     const NewFeedback& feedback) {
  const RowChecksum checksum = checksum_of(owner.tenant(), owner.user(), feedback);
  RUVLLM_ASSIGN(const OwnerRow row, find_or_add_owner(database, owner));
  RUVLLM_ASSIGN(const std::optional<Appended> known,
                find_key(database, row.id, feedback, checksum));
  if (known) return *known;
  RUVLLM_ASSIGN(Statement insert,
                database.prepare("INSERT INTO feedback(owner, idempotency_key, response_id, kind, "
                                 "time_us, payload, checksum) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  insert.bind(row.id)
      .bind(std::string_view(feedback.idempotency_key))
      .bind(std::string_view(feedback.response_id))
      .bind(static_cast<int64_t>(feedback.kind))
      .bind(feedback.time_us)
      .bind(as_bytes(feedback.payload))
      .bind(std::span<const std::byte>(checksum));
  RUVLLM_TRY(insert.run());
  return Appended{database.last_id(), true};
}

Result<FeedbackPage> read_feedback_rows(Database& database, const Owner& owner, int64_t after_id,
                                        size_t limit) {
  RUVLLM_ASSIGN(
      Statement select,
      database.prepare("SELECT f.id, o.user, idempotency_key, response_id, kind, time_us, payload, "
                       "checksum FROM feedback f JOIN owners o ON o.id=f.owner WHERE o.tenant=?1 "
                       "AND o.user=?2 AND f.id>?3 ORDER BY f.id LIMIT ?4"));
  select.bind(std::string_view(owner.tenant().name()))
      .bind(std::string_view(owner.user()))
      .bind(after_id)
      .bind(uint64_t{limit});
  return read_page(select, owner.tenant(), after_id);
}

Result<FeedbackPage> read_feedback_rows(Database& database, const Tenant& tenant, int64_t after_id,
                                        size_t limit) {
  // CROSS JOIN: in the order of feedback's ids, whatever the planner thinks of it.
  RUVLLM_ASSIGN(
      Statement select,
      database.prepare("SELECT f.id, o.user, idempotency_key, response_id, kind, time_us, payload, "
                       "checksum FROM feedback f CROSS JOIN owners o ON o.id=f.owner "
                       "WHERE o.tenant=?1 AND f.id>?2 ORDER BY f.id LIMIT ?3"));
  select.bind(std::string_view(tenant.name())).bind(after_id).bind(uint64_t{limit});
  return read_page(select, tenant, after_id);
}

Status put_trajectory_row(Database& database, const Owner& owner, const Trajectory& trajectory,
                          size_t num_kept) {
  RUVLLM_ASSIGN(const OwnerRow row, find_or_add_owner(database, owner));
  // REPLACE takes the old row away, so that the new one is the newest.
  RUVLLM_ASSIGN(Statement insert,
                database.prepare("INSERT OR REPLACE INTO trajectories(owner, response_id, "
                                 "generation, time_us, payload, checksum) "
                                 "VALUES(?1, ?2, ?3, ?4, ?5, ?6)"));
  const RowChecksum checksum = checksum_of(owner, trajectory);
  insert.bind(row.id)
      .bind(std::string_view(trajectory.response_id))
      .bind(trajectory.generation)
      .bind(trajectory.time_us)
      .bind(as_bytes(trajectory.payload))
      .bind(std::span<const std::byte>(checksum));
  RUVLLM_TRY(insert.run());
  RUVLLM_ASSIGN(
      Statement trim,
      database.prepare("DELETE FROM trajectories WHERE owner=?1 AND id<=(SELECT id FROM "
                       "trajectories WHERE owner=?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)"));
  return trim.bind(row.id).bind(uint64_t{num_kept}).run();
}

Result<Trajectory> find_trajectory_row(Database& database, const Owner& owner,
                                       std::string_view response_id) {
  RUVLLM_ASSIGN(Statement select,
                database.prepare("SELECT response_id, generation, time_us, payload, checksum FROM "
                                 "trajectories t JOIN owners o ON o.id=t.owner WHERE o.tenant=?1 "
                                 "AND o.user=?2 AND response_id=?3"));
  select.bind(std::string_view(owner.tenant().name()))
      .bind(std::string_view(owner.user()))
      .bind(response_id);
  RUVLLM_ASSIGN(const bool is_there, select.step());
  if (!is_there) {
    return fail(ErrorCode::kNotFound,
                "response {}: nothing is kept of it; only the newest responses are", response_id);
  }
  std::optional<Trajectory> out = read_trajectory(owner, select, 0);
  if (!out) {
    return fail(ErrorCode::kCorrupt,
                "{}: the trajectory of response {} does not match its checksum", database.path(),
                response_id);
  }
  return *std::move(out);
}

Result<std::optional<TrajectoryRow>> next_trajectory_row(Database& database, const Owner& owner,
                                                         int64_t after_id) {
  RUVLLM_ASSIGN(
      Statement select,
      database.prepare("SELECT t.id, response_id, generation, time_us, payload, checksum FROM "
                       "trajectories t JOIN owners o ON o.id=t.owner WHERE o.tenant=?1 "
                       "AND o.user=?2 AND t.id>?3 ORDER BY t.id LIMIT 1"));
  select.bind(std::string_view(owner.tenant().name()))
      .bind(std::string_view(owner.user()))
      .bind(after_id);
  RUVLLM_ASSIGN(const bool is_there, select.step());
  if (!is_there) return std::nullopt;
  return TrajectoryRow{select.integer(0), read_trajectory(owner, select, 1)};
}

}  // namespace ruvllm::sona
