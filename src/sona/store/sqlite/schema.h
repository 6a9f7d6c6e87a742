// Tables of the SQLite store and how one version becomes the next. Versions only go up.
#pragma once

#include <cstdint>

#include "base/core/error.h"
#include "sona/store/sqlite/database.h"

namespace ruvllm::sona {

inline constexpr int64_t kSchemaVersion = 2;
inline constexpr int64_t kApplicationId = 0x5275764c;  // "RuvL", in the header of the file

Result<int64_t> schema_version(Database& database);

// Brings the tables from the version they have (0: an empty file) to `version`, in one transaction:
// after a crash it is the old or the new one. kUnsupported: the file is of a later program.
Status migrate(Database& database, int64_t version = kSchemaVersion);

// kCorrupt with the first thing that is wrong: pages that contradict each other, an index that does
// not match its table (a key could then count twice), rows that refer to nothing, or tables,
// triggers and views that are not those of its version. Reads the whole file.
Status check_integrity(Database& database);

}  // namespace ruvllm::sona
