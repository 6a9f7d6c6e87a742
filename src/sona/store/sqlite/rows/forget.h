// Forgetting an owner, and what remembers that it happened. All functions run on a connection that
// their caller alone uses; those that write, in its transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/core/error.h"
#include "sona/store/records.h"
#include "sona/store/sqlite/database.h"

namespace ruvllm::sona {

// Deletes the rows, marks the tenant's shared generations that learned from them, and leaves a
// tombstone if there was anything.
Result<ForgetReport> delete_owner(Database& database, const Owner& owner, uint64_t time_us);

// Whether rows were deleted whose traces may still be in the files.
Result<bool> needs_scrubbing(Database& database);
Status mark_scrubbed(Database& database);

Result<std::vector<Tombstone>> open_tombstone_rows(Database& database, const Tenant& tenant);
Status close_tombstone_row(Database& database, const Tenant& tenant, int64_t id);
// When the owner was last forgotten.
Result<std::optional<uint64_t>> forgotten_at(Database& database, const Owner& owner);

}  // namespace ruvllm::sona
