#include "sona/store/sqlite/open_database.h"

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system/clock.h"
#include "sona/store/sqlite/schema.h"

namespace ruvllm::sona {
namespace {

constexpr const char* kSideFiles[] = {"-wal", "-shm", "-journal"};

std::string time_of(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return "an unknown time";
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(info.st_mtime));
}

// The database file, and what belongs to it, out of the way. Gives the new path.
Result<std::string> set_aside(const StorePaths& paths) {
  RUVLLM_TRY(make_private_folder(paths.quarantine_folder()));
  std::string target;
  for (int number = 1; target.empty() || file_exists(target) || file_exists(target + "-wal");
       ++number) {
    target = fmt::format("{}/{}-learned.db", paths.quarantine_folder(), number);
  }
  for (const char* side : kSideFiles) {
    const std::string path = paths.database() + side;
    if (file_exists(path)) RUVLLM_TRY(rename_durably(path, target + side));
  }
  if (file_exists(paths.database())) RUVLLM_TRY(rename_durably(paths.database(), target));
  return target;
}

Status copy_file(const std::string& from, const std::string& to) {
  const int fd = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return file_failure(from, "open", errno);
  Status status;
  {
    Result<ReplacingFile> file = ReplacingFile::create(to);
    status = file ? Status() : std::unexpected(file.error());
    std::vector<std::byte> buffer(size_t{1} << 20);
    ssize_t count = 1;
    while (status.has_value() && count > 0) {
      count = ::read(fd, buffer.data(), buffer.size());
      if (count < 0) status = file_failure(from, "read", errno);
      if (count > 0) status = file->write(std::span(buffer).first(static_cast<size_t>(count)));
    }
    if (status.has_value()) status = file->finish();
  }
  ::close(fd);
  return status;
}

// Makes learned.db, from the backup or empty: under another name first, so that it is there whole
// or not at all.
Status install(const StorePaths& paths, const std::string& vfs, bool is_from_backup) {
  const std::string path = paths.database() + ".new";
  for (const char* side : kSideFiles) RUVLLM_TRY(remove_file(path + side));
  RUVLLM_TRY(remove_file(path));
  if (is_from_backup) {
    RUVLLM_TRY(copy_file(paths.backup(), path));
  } else {
    RUVLLM_ASSIGN(ReplacingFile file, ReplacingFile::create(path));  // with its permissions
    RUVLLM_TRY(file.finish());
  }
  {
    RUVLLM_ASSIGN(Database database, Database::open({.path = path, .vfs = vfs}));
    if (is_from_backup) RUVLLM_TRY(check_integrity(database));
    RUVLLM_TRY(migrate(database));
  }
  RUVLLM_TRY(sync_file(path));
  return rename_durably(path, paths.database());
}

// Puts a database where there is none (any more), and says in the report what it is.
Status restore(const StorePaths& paths, const std::string& vfs, RecoveryReport& report) {
  std::string without = "There was no backup";
  if (file_exists(paths.backup())) {
    const Status restored = install(paths, vfs, true);
    if (restored.has_value()) {
      report.restored_from = paths.backup();
      report.message +=
          fmt::format("Restored from {}, made at {}; what was learned after that is missing.",
                      paths.backup(), time_of(paths.backup()));
      return {};
    }
    if (restored.error().code() != ErrorCode::kCorrupt) return restored;
    without = fmt::format("The backup is damaged too ({})", restored.error().message());
  }
  report.message += without + ": learned state starts empty. If you have an export, import it.";
  return install(paths, vfs, false);
}

Status check_existing(const StorePaths& paths, const std::string& vfs) {
  RUVLLM_ASSIGN(Database database, Database::open({.path = paths.database(), .vfs = vfs}));
  RUVLLM_TRY(check_integrity(database));
  RUVLLM_ASSIGN(const int64_t version, schema_version(database));
  if (version < kSchemaVersion) {
    RUVLLM_TRY(make_private_folder(paths.backup_folder()));
    RUVLLM_TRY(copy_database(database,
                             fmt::format("{}/version-{}.db", paths.backup_folder(), version), vfs));
  }
  return version == kSchemaVersion ? Status() : migrate(database);
}

// Holding the folder alone.
Status check_and_repair(const StorePaths& paths, const std::string& vfs, RecoveryReport& report) {
  if (file_exists(paths.database())) {
    const Status status = check_existing(paths, vfs);
    if (status.has_value() || status.error().code() != ErrorCode::kCorrupt) return status;
    RUVLLM_ASSIGN(report.quarantined, set_aside(paths));
    report.message =
        fmt::format("{}. The file was moved to {}. ", status.error().message(), report.quarantined);
    return restore(paths, vfs, report);
  }
  if (!file_exists(paths.backup()) && !file_exists(paths.database() + "-wal")) {
    return install(paths, vfs, false);  // the first start
  }
  // Somebody took the database away, or a repair ended in the middle. A log without its database
  // must not meet another one.
  report.message = fmt::format("{}: it is gone. ", paths.database());
  if (file_exists(paths.database() + "-wal")) {
    RUVLLM_ASSIGN(report.quarantined, set_aside(paths));
  }
  return restore(paths, vfs, report);
}

}  // namespace

Result<ReadyFolder> make_ready(const StorePaths& paths, const std::string& vfs, int wait_ms) {
  RUVLLM_TRY(make_private_folder(paths.folder));
  RUVLLM_ASSIGN(FolderLock lock, FolderLock::open(paths.lock()));
  RecoveryReport report;
  const uint64_t end_ns = monotonic_ns() + static_cast<uint64_t>(wait_ms) * 1'000'000u;
  while (true) {
    RUVLLM_ASSIGN(const bool is_alone, lock.try_lock(FolderLock::Mode::kExclusive));
    if (is_alone) RUVLLM_TRY(check_and_repair(paths, vfs, report));
    // Turning one kind of lock into the other is not atomic: somebody may come between, and then
    // checks again.
    RUVLLM_ASSIGN(const bool is_shared, lock.try_lock(FolderLock::Mode::kShared));
    if (is_shared) return ReadyFolder{std::move(lock), std::move(report)};
    if (monotonic_ns() > end_ns) {
      return fail(ErrorCode::kUnavailable,
                  "{}: another process is checking the learned state; try again later",
                  paths.folder);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Status copy_database(Database& source, const std::string& target, const std::string& vfs) {
  const std::string path = target + ".new";
  RUVLLM_TRY(remove_file(path));
  RUVLLM_TRY(remove_file(path + "-journal"));
  const auto copy = [&]() -> Status {
    {
      RUVLLM_ASSIGN(ReplacingFile file, ReplacingFile::create(path));  // with its permissions
      RUVLLM_TRY(file.finish());
      // Writes only what is in use: nothing that was deleted comes along.
      RUVLLM_ASSIGN(Statement statement, source.prepare("VACUUM INTO ?1"));
      RUVLLM_TRY(statement.bind(std::string_view(path)).run());
    }
    RUVLLM_ASSIGN(Database database,
                  Database::open({.path = path, .vfs = vfs, .is_read_only = true}));
    RUVLLM_TRY(check_integrity(database));
    return sync_file(path);
  };
  const Status copied = copy();
  if (!copied.has_value()) {
    static_cast<void>(remove_file(path));
    return copied;
  }
  return rename_durably(path, target);
}

}  // namespace ruvllm::sona
