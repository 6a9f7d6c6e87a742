// The folder of a store, made ready: checked, migrated, and if its database is damaged, that file
// set aside and the last backup put in its place.
//
//   learned.db (-wal, -shm)   the database
//   backups/learned.db        the last backup; backups/version-N.db: before a migration from N
//   quarantine/               damaged files, as they were found
//   lock                      shared by all who use the folder, exclusive while it is made ready
#pragma once

#include <string>

#include "base/core/error.h"
#include "sona/store/files/durable_files.h"
#include "sona/store/sqlite/database.h"

namespace ruvllm::sona {

// What had to be done to open a store; empty if nothing.
struct RecoveryReport {
  std::string message;        // for people: what was damaged, where it went, what may be missing
  std::string quarantined;    // path of the damaged database
  std::string restored_from;  // path of the backup
};

struct StorePaths {
  std::string folder;

  std::string database() const { return folder + "/learned.db"; }
  std::string lock() const { return folder + "/lock"; }
  std::string backup_folder() const { return folder + "/backups"; }
  std::string backup() const { return backup_folder() + "/learned.db"; }
  std::string quarantine_folder() const { return folder + "/quarantine"; }
};

struct ReadyFolder {
  FolderLock lock;  // shared, to be held while the folder is used
  RecoveryReport report;
};

// Where others use the folder already, they have made it ready. Waits at most `wait_ms` for one who
// is at it.
Result<ReadyFolder> make_ready(const StorePaths& paths, const std::string& vfs, int wait_ms);

// A whole copy of the database at `target`, on disk under that name only once it is checked.
// `source` must not be in a transaction.
Status copy_database(Database& source, const std::string& target, const std::string& vfs);

}  // namespace ruvllm::sona
