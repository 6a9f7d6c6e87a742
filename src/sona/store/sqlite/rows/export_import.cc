#include "sona/store/sqlite/rows/export_import.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sona/store/sqlite/rows/feedback_rows.h"
#include "sona/store/sqlite/rows/forget.h"
#include "sona/store/sqlite/rows/generation_rows.h"
#include "sona/store/sqlite/rows/owner_rows.h"

namespace ruvllm::sona {
namespace {

constexpr size_t kPageRows = 256;

Result<Owner> owner_named(const Tenant& tenant, const std::string& user) {
  if (user.empty()) return Owner::shared(tenant);
  return Owner::create(tenant, user);
}

Status export_feedback(Database& database, const Tenant& tenant, ArchiveWriter& archive,
                       TransferReport& report) {
  int64_t after_id = 0;
  while (true) {
    RUVLLM_ASSIGN(FeedbackPage page, read_feedback_rows(database, tenant, after_id, kPageRows));
    if (!page.damaged_ids.empty()) {
      return fail(ErrorCode::kCorrupt,
                  "{}: feedback {} does not match its checksum, so the export would not be whole; "
                  "restart, so that the file is checked",
                  database.path(), page.damaged_ids.front());
    }
    for (Feedback& row : page.rows) {
      RUVLLM_TRY(archive.add(ArchivedFeedback{row.user, row.id, std::move(row.content)}));
    }
    if (page.rows.empty()) return {};
    report.num_feedback += page.rows.size();
    after_id = page.last_id;
  }
}

Status export_trajectories(Database& database, const Owner& owner, ArchiveWriter& archive,
                           TransferReport& report) {
  int64_t after_id = 0;
  while (true) {
    RUVLLM_ASSIGN(std::optional<TrajectoryRow> row, next_trajectory_row(database, owner, after_id));
    if (!row) return {};
    after_id = row->id;
    if (!row->content) continue;  // kept for a while only: nothing to give up an export for
    RUVLLM_TRY(archive.add(ArchivedTrajectory{owner.user(), *std::move(row->content)}));
    ++report.num_trajectories;
  }
}

Status export_generations(Database& database, const Owner& owner, ArchiveWriter& archive,
                          std::set<Sha256>& written, TransferReport& report) {
  RUVLLM_ASSIGN(std::vector<Generation> generations, list_generation_rows(database, owner));
  for (Generation& each : generations) {
    for (const BlobReference& blob : each.blobs) {
      if (!written.insert(blob.sha256).second) continue;
      RUVLLM_ASSIGN(const std::vector<std::byte> bytes,
                    read_blob_row(database, owner, blob.sha256));
      RUVLLM_TRY(archive.add(ArchivedBlob{blob.sha256, bytes}));
      ++report.num_blobs;
    }
    RUVLLM_TRY(archive.add(ArchivedGeneration{owner.user(), each.number, std::move(each.provenance),
                                              std::move(each.blobs)}));
    ++report.num_generations;
  }
  RUVLLM_ASSIGN(const uint64_t current, current_of(database, owner));
  return archive.add(ArchivedCurrent{owner.user(), current});
}

// Takes the records of one archive into a tenant's rows.
class Import {
 public:
  Import(Database& database, const Tenant& tenant, size_t num_trajectories_kept)
      : database_(database), tenant_(tenant), num_trajectories_kept_(num_trajectories_kept) {}

  Status take(ArchivedFeedback& record) {
    RUVLLM_ASSIGN(const Owner owner, owner_named(tenant_, record.user));
    RUVLLM_ASSIGN(const bool is_forgotten, was_forgotten(owner, record.content.time_us));
    if (is_forgotten) return {};
    RUVLLM_ASSIGN(const Appended row, append_feedback_row(database_, owner, record.content));
    new_ids_[record.id] = row.id;
    ++(row.is_new ? report_.num_feedback : report_.num_known);
    return {};
  }

  Status take(ArchivedTrajectory& record) {
    RUVLLM_ASSIGN(const Owner owner, owner_named(tenant_, record.user));
    RUVLLM_ASSIGN(const bool is_forgotten, was_forgotten(owner, record.content.time_us));
    if (is_forgotten) return {};
    RUVLLM_TRY(put_trajectory_row(database_, owner, record.content, num_trajectories_kept_));
    ++report_.num_trajectories;
    return {};
  }

  Status take(ArchivedBlob& record) {
    blobs_[record.sha256] = record.bytes;
    return {};
  }

  Status take(ArchivedGeneration& record) {
    RUVLLM_ASSIGN(const Owner owner, owner_named(tenant_, record.user));
    RUVLLM_ASSIGN(const bool is_forgotten, was_forgotten(owner, record.provenance.time_us));
    if (is_forgotten) return {};
    renumber_window(record.provenance);
    const Result<Generation> known = find_generation_row(database_, owner, record.number);
    if (known) return check_same(owner, *known, record);
    if (known.error().code() != ErrorCode::kNotFound) return std::unexpected(known.error());
    NewGeneration generation{.provenance = std::move(record.provenance), .blobs = {}};
    for (BlobReference& blob : record.blobs) {
      const auto place = blobs_.find(blob.sha256);
      if (place == blobs_.end()) {
        return fail(ErrorCode::kCorrupt, "blob {} does not come before generation {}",
                    blob.sha256.hex(), record.number);
      }
      generation.blobs.push_back({std::move(blob.role), place->second, std::nullopt});
    }
    RUVLLM_TRY(add_numbered_generation(database_, owner, record.number, generation));
    ++report_.num_generations;
    report_.num_blobs += generation.blobs.size();
    return {};
  }

  // An owner who has learned here goes on with what is current here.
  Status take(ArchivedCurrent& record) {
    RUVLLM_ASSIGN(const Owner owner, owner_named(tenant_, record.user));
    if (record.number == 0 || forgotten_.contains(record.user)) return {};
    return swap_current_row(database_, owner, 0, record.number).has_value()
               ? Status()
               : fail(ErrorCode::kCorrupt, "generation {} of user {} is current, but not there",
                      record.number, record.user);
  }

  const TransferReport& report() const { return report_; }

 private:
  Result<bool> was_forgotten(const Owner& owner, uint64_t time_us) {
    RUVLLM_ASSIGN(const std::optional<uint64_t> time, forgotten_at(database_, owner));
    if (!time || time_us > *time) return false;
    forgotten_.insert(owner.user());
    ++report_.num_forgotten;
    return true;
  }

  // From ids of the archive to those that the rows have here; none if no row of it came.
  void renumber_window(Provenance& from) const {
    const auto first = new_ids_.lower_bound(from.first_feedback);
    const auto end = new_ids_.upper_bound(from.last_feedback);
    from.first_feedback = 0;
    from.last_feedback = 0;
    for (auto each = first; each != end; ++each) {
      const int64_t id = each->second;
      from.first_feedback = from.first_feedback == 0 ? id : std::min(from.first_feedback, id);
      from.last_feedback = std::max(from.last_feedback, id);
    }
  }

  Status check_same(const Owner& owner, const Generation& known, const ArchivedGeneration& other) {
    std::vector<BlobReference> blobs = other.blobs;
    std::ranges::sort(blobs, {}, &BlobReference::role);
    if (known.provenance == other.provenance && known.blobs == blobs) {
      ++report_.num_known;
      return {};
    }
    return fail(ErrorCode::kInvalidArgument,
                "user {} has another generation {} here already; forget the user first, or import "
                "into another tenant",
                owner.user(), other.number);
  }

  Database& database_;
  const Tenant& tenant_;
  size_t num_trajectories_kept_;
  TransferReport report_;
  std::map<int64_t, int64_t> new_ids_;
  std::map<Sha256, std::span<const std::byte>> blobs_;
  std::set<std::string> forgotten_;
};

}  // namespace

Result<TransferReport> export_rows(Database& database, const Tenant& tenant,
                                   ArchiveWriter& archive) {
  TransferReport report;
  RUVLLM_TRY(export_feedback(database, tenant, archive, report));
  std::vector<Owner> owners{Owner::shared(tenant)};
  RUVLLM_ASSIGN(const std::vector<std::string> users, users_of(database, tenant));
  for (const std::string& user : users) {
    RUVLLM_ASSIGN(Owner owner, Owner::create(tenant, user));
    owners.push_back(std::move(owner));
  }
  std::set<Sha256> written;
  for (const Owner& owner : owners) {
    RUVLLM_TRY(export_trajectories(database, owner, archive, report));
    RUVLLM_TRY(export_generations(database, owner, archive, written, report));
  }
  return report;
}

Result<TransferReport> import_rows(Database& database, const Tenant& tenant, ArchiveReader& archive,
                                   size_t num_trajectories_kept) {
  Import import(database, tenant, num_trajectories_kept);
  while (true) {
    RUVLLM_ASSIGN(std::optional<ArchiveRecord> record, archive.next());
    if (!record) break;
    Status taken = std::visit([&](auto& each) { return import.take(each); }, *record);
    if (!taken) return std::unexpected(std::move(taken).error().with_context(archive.place()));
  }
  RUVLLM_TRY(archive.check_whole());
  return import.report();
}

}  // namespace ruvllm::sona
