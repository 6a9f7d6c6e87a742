// The learned-state store in SQLite 3: one folder, a write-ahead log, synchronous=FULL.
//
// One connection writes, in groups (write_queue.h); one reads. Several processes may have the same
// folder open.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/core/error.h"
#include "sona/store/learned_state_store.h"
#include "sona/store/sqlite/open_database.h"

namespace ruvllm::sona {

struct SqliteStoreOptions {
  std::string folder;              // made if it is not there, for its owner alone
  size_t num_trajectories = 1024;  // kept of each owner
  int wait_ms = 10'000;            // at most, for other processes
  std::string vfs = {};            // SQLite's file system, for tests; empty: the system's own
};

struct OpenedStore {
  std::unique_ptr<LearnedStateStore> store;
  RecoveryReport recovery;  // to be shown to whoever runs the program
};

// Checks the database, and repairs what it can (open_database.h). Reads the whole file once.
Result<OpenedStore> open_sqlite_store(const SqliteStoreOptions& options);

}  // namespace ruvllm::sona
