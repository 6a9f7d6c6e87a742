#include "sona/store/sqlite/sqlite_store.h"

#include <functional>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <time.h>

#include "base/system/clock.h"
#include "sona/store/archive/archive_reader.h"
#include "sona/store/archive/archive_writer.h"
#include "sona/store/sqlite/rows/export_import.h"
#include "sona/store/sqlite/rows/feedback_rows.h"
#include "sona/store/sqlite/rows/forget.h"
#include "sona/store/sqlite/rows/generation_rows.h"
#include "sona/store/sqlite/rows/owner_rows.h"
#include "sona/store/sqlite/schema.h"
#include "sona/store/sqlite/write_queue.h"

namespace ruvllm::sona {
namespace {

class SqliteStore final : public LearnedStateStore {
 public:
  SqliteStore(const SqliteStoreOptions& options, FolderLock lock, Database writer, Database reader)
      : options_(options),
        paths_{options.folder},
        lock_(std::move(lock)),
        writer_(std::move(writer)),
        reader_(std::move(reader)),
        queue_(writer_) {}

  Result<Appended> append_feedback(const Owner& owner, const NewFeedback& feedback) override {
    RUVLLM_TRY(check(feedback));
    return write<Appended>(
        [&](Database& database) { return append_feedback_row(database, owner, feedback); });
  }

  Result<FeedbackPage> read_feedback(const Owner& owner, int64_t after_id, size_t limit) override {
    return read<FeedbackPage>(
        [&](Database& database) { return read_feedback_rows(database, owner, after_id, limit); });
  }

  Result<FeedbackPage> read_feedback(const Tenant& tenant, int64_t after_id,
                                     size_t limit) override {
    return read<FeedbackPage>(
        [&](Database& database) { return read_feedback_rows(database, tenant, after_id, limit); });
  }

  Status put_trajectory(const Owner& owner, const Trajectory& trajectory) override {
    RUVLLM_TRY(check(trajectory));
    return queue_.run([&](Database& database) {
      return put_trajectory_row(database, owner, trajectory, options_.num_trajectories);
    });
  }

  Result<Trajectory> find_trajectory(const Owner& owner, std::string_view response_id) override {
    return read<Trajectory>(
        [&](Database& database) { return find_trajectory_row(database, owner, response_id); });
  }

  Result<uint64_t> put_generation(const Owner& owner, const NewGeneration& generation) override {
    RUVLLM_TRY(check(generation.provenance));
    return write<uint64_t>(
        [&](Database& database) { return add_generation(database, owner, generation); });
  }

  Result<Generation> find_generation(const Owner& owner, uint64_t number) override {
    return read<Generation>(
        [&](Database& database) { return find_generation_row(database, owner, number); });
  }

  Result<std::vector<Generation>> list_generations(const Owner& owner) override {
    return read<std::vector<Generation>>(
        [&](Database& database) { return list_generation_rows(database, owner); });
  }

  Result<std::vector<std::byte>> read_blob(const Owner& owner, const Sha256& sha256) override {
    return read<std::vector<std::byte>>(
        [&](Database& database) { return read_blob_row(database, owner, sha256); });
  }

  Result<uint64_t> current_generation(const Owner& owner) override {
    return read<uint64_t>([&](Database& database) { return current_of(database, owner); });
  }

  Result<Swapped> swap_current(const Owner& owner, uint64_t expected, uint64_t wanted) override {
    return write<Swapped>(
        [&](Database& database) { return swap_current_row(database, owner, expected, wanted); });
  }

  Result<uint64_t> roll_back(const Owner& owner, size_t num_steps) override {
    return write<uint64_t>(
        [&](Database& database) { return roll_back_row(database, owner, num_steps); });
  }

  Result<size_t> prune_generations(const Owner& owner, size_t num_kept) override {
    return write<size_t>(
        [&](Database& database) { return prune_generation_rows(database, owner, num_kept); });
  }

  Result<ForgetReport> forget(const Owner& owner) override {
    RUVLLM_ASSIGN(ForgetReport report, write<ForgetReport>([&](Database& database) {
                    return delete_owner(database, owner, clock_ns(CLOCK_REALTIME) / 1000);
                  }));
    RUVLLM_TRY(scrub(report.removed_files));
    return report;
  }

  Result<std::vector<Tombstone>> open_tombstones(const Tenant& tenant) override {
    return read<std::vector<Tombstone>>(
        [&](Database& database) { return open_tombstone_rows(database, tenant); });
  }

  Status close_tombstone(const Tenant& tenant, int64_t id) override {
    return queue_.run(
        [&](Database& database) { return close_tombstone_row(database, tenant, id); });
  }

  Result<std::vector<std::string>> list_users(const Tenant& tenant) override {
    return read<std::vector<std::string>>(
        [&](Database& database) { return users_of(database, tenant); });
  }

  Result<StoreCounts> count(const Tenant& tenant) override;
  Result<TransferReport> export_archive(const Tenant& tenant, const std::string& path) override;
  Result<TransferReport> import_archive(const Tenant& tenant, const std::string& path) override;

  Status back_up() override {
    RUVLLM_TRY(make_private_folder(paths_.backup_folder()));
    // A connection of its own: neither readers nor writers wait for it.
    RUVLLM_ASSIGN(Database source, open_reader());
    return copy_database(source, paths_.backup(), options_.vfs);
  }

  // Overwrites the traces of deleted rows in all files, if there may be any.
  Status scrub(std::vector<std::string>& removed_files);

 private:
  template <typename T>
  Result<T> read(const std::function<Result<T>(Database&)>& query) {
    const std::scoped_lock lock(reader_mutex_);
    RUVLLM_ASSIGN(Transaction transaction, Transaction::begin_read(reader_));
    return query(reader_);
  }

  template <typename T>
  Result<T> write(const std::function<Result<T>(Database&)>& change) {
    T out{};
    RUVLLM_TRY(queue_.run([&](Database& database) -> Status {
      RUVLLM_ASSIGN(out, change(database));
      return {};
    }));
    return out;
  }

  Result<Database> open_reader() const {
    return Database::open({.path = paths_.database(),
                           .vfs = options_.vfs,
                           .is_read_only = true,
                           .busy_ms = options_.wait_ms});
  }
  Status remove_copies(std::vector<std::string>& removed_files);

  const SqliteStoreOptions options_;
  const StorePaths paths_;
  FolderLock lock_;
  Database writer_;  // of queue_
  std::mutex reader_mutex_;
  Database reader_;
  WriteQueue queue_;
};

// The log becomes empty, which takes that nobody reads from it.
Status empty_log(Database& database) {
  RUVLLM_ASSIGN(Statement checkpoint, database.prepare("PRAGMA wal_checkpoint(TRUNCATE)"));
  RUVLLM_ASSIGN(const bool is_row, checkpoint.step());
  if (is_row && checkpoint.integer(0) == 0) return {};
  return fail(ErrorCode::kUnavailable,
              "{}: another process reads from it, so traces of deleted rows are left in its log; "
              "forget again when it is done",
              database.path());
}

Status SqliteStore::scrub(std::vector<std::string>& removed_files) {
  const std::scoped_lock lock(reader_mutex_);
  return queue_.run_alone([&](Database& database) -> Status {
    RUVLLM_ASSIGN(const bool is_needed, needs_scrubbing(database));
    if (!is_needed) return {};
    // secure_delete overwrites rows, but pages that were split or merged may hold copies of them.
    RUVLLM_TRY(database.execute("VACUUM"));
    RUVLLM_TRY(empty_log(database));
    RUVLLM_TRY(remove_copies(removed_files));
    return mark_scrubbed(database);
  });
}

// Copies of the database that may hold deleted rows go, once there is a new backup.
Status SqliteStore::remove_copies(std::vector<std::string>& removed_files) {
  const bool had_backup = file_exists(paths_.backup());
  if (had_backup) RUVLLM_TRY(back_up());
  for (const std::string& folder : {paths_.backup_folder(), paths_.quarantine_folder()}) {
    for (const std::string& name : files_in(folder)) {
      const std::string path = folder + "/" + name;
      if (path == paths_.backup()) continue;
      RUVLLM_TRY(remove_file(path));
      removed_files.push_back(path);
    }
    if (file_exists(folder)) RUVLLM_TRY(sync_folder(folder));
  }
  return {};
}

Result<StoreCounts> SqliteStore::count(const Tenant& tenant) {
  return read<StoreCounts>([&](Database& database) -> Result<StoreCounts> {
    RUVLLM_ASSIGN(Statement select,
                  database.prepare(
                      "WITH mine AS (SELECT id, user FROM owners WHERE tenant=?1) SELECT "
                      "(SELECT count(*) FROM mine WHERE user<>''), "
                      "(SELECT count(*) FROM feedback WHERE owner IN (SELECT id FROM mine)), "
                      "(SELECT count(*) FROM trajectories WHERE owner IN (SELECT id FROM mine)), "
                      "(SELECT count(*) FROM generations WHERE owner IN (SELECT id FROM mine)), "
                      "(SELECT coalesce(sum(length(content)), 0) FROM blobs WHERE tenant=?1)"));
    RUVLLM_TRY(select.bind(std::string_view(tenant.name())).step());
    StoreCounts counts{.num_users = select.count(0),
                       .num_feedback = select.count(1),
                       .num_trajectories = select.count(2),
                       .num_generations = select.count(3),
                       .blob_bytes = select.count(4)};
    for (const char* side : {"", "-wal"}) {
      struct stat info{};
      if (::stat((paths_.database() + side).c_str(), &info) == 0) {
        counts.file_bytes += static_cast<uint64_t>(info.st_size);
      }
    }
    return counts;
  });
}

Result<TransferReport> SqliteStore::export_archive(const Tenant& tenant, const std::string& path) {
  RUVLLM_ASSIGN(Database source, open_reader());
  RUVLLM_ASSIGN(Transaction transaction, Transaction::begin_read(source));
  RUVLLM_ASSIGN(ArchiveWriter archive, ArchiveWriter::create(path));
  RUVLLM_ASSIGN(const TransferReport report, export_rows(source, tenant, archive));
  RUVLLM_TRY(archive.finish());
  return report;
}

Result<TransferReport> SqliteStore::import_archive(const Tenant& tenant, const std::string& path) {
  RUVLLM_ASSIGN(ArchiveReader archive, ArchiveReader::open(path));
  return write<TransferReport>([&](Database& database) {
    return import_rows(database, tenant, archive, options_.num_trajectories);
  });
}

Status use_log(Database& database) {
  RUVLLM_ASSIGN(Statement mode, database.prepare("PRAGMA journal_mode=WAL"));
  RUVLLM_TRY(mode.step());
  if (mode.text(0) == "wal") return {};
  return fail(ErrorCode::kUnsupported,
              "{}: its file system cannot hold a write-ahead log; put the learned state on a local "
              "disk",
              database.path());
}

}  // namespace

Result<OpenedStore> open_sqlite_store(const SqliteStoreOptions& options) {
  const StorePaths paths{options.folder};
  RUVLLM_ASSIGN(ReadyFolder ready, make_ready(paths, options.vfs, options.wait_ms));
  RUVLLM_ASSIGN(
      Database writer,
      Database::open({.path = paths.database(), .vfs = options.vfs, .busy_ms = options.wait_ms}));
  RUVLLM_TRY(use_log(writer));
  RUVLLM_ASSIGN(
      Database reader,
      Database::open({.path = paths.database(), .vfs = options.vfs, .busy_ms = options.wait_ms}));
  auto store = std::make_unique<SqliteStore>(options, std::move(ready.lock), std::move(writer),
                                             std::move(reader));
  // If the process ended while it forgot somebody. That it cannot be done now hinders nothing else.
  std::vector<std::string> removed_files;
  const Status scrubbed = store->scrub(removed_files);
  if (!scrubbed.has_value()) {
    ready.report.message += fmt::format("Traces of somebody forgotten are left in the files: {}",
                                        scrubbed.error().message());
  }
  return OpenedStore{std::move(store), std::move(ready.report)};
}

}  // namespace ruvllm::sona
