// Content at its place in a store: already there, linked from another store, or downloaded.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/hub/transfer/context.h"
#include "api/hub/transfer/download.h"
#include "api/hub/transfer/files.h"
#include "base/core/error.h"

namespace ruvllm::hub {

struct BlobPlace {
  std::string path;
  std::string lock_path;
  std::vector<std::string> elsewhere;  // paths that may hold the same content
};

// Waits for whoever holds the lock, saying so.
Result<FileLock> wait_for_lock(PullContext& context, const std::string& path, FileLock::Mode mode,
                               const std::string& what);

// `request` has size and digest. Counts the file as done in the progress.
Status ensure_blob(PullContext& context, const BlobRequest& request, const BlobPlace& place);

void start_file(PullContext& context, const std::string& what);
void finish_file(PullContext& context, uint64_t size);

}  // namespace ruvllm::hub
