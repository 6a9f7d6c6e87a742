// A tenant's rows to an archive and back. The functions run on a connection that their caller alone
// uses, within its transaction.
#pragma once

#include <cstddef>

#include "base/core/error.h"
#include "sona/store/archive/archive_reader.h"
#include "sona/store/archive/archive_writer.h"
#include "sona/store/records.h"
#include "sona/store/sqlite/database.h"

namespace ruvllm::sona {

// Rows that are damaged make it fail: an export is whole.
Result<TransferReport> export_rows(Database& database, const Tenant& tenant,
                                   ArchiveWriter& archive);

Result<TransferReport> import_rows(Database& database, const Tenant& tenant, ArchiveReader& archive,
                                   size_t num_trajectories_kept);

}  // namespace ruvllm::sona
