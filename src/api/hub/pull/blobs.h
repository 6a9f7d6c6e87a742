// Content at its place in a store: already there, linked from another store, or downloaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/hub/transfer/context.h"
#include "api/hub/transfer/download.h"
#include "api/hub/transfer/files.h"
#include "base/core/checked.h"
#include "base/core/error.h"

namespace ruvllm::hub {

struct BlobPlace {
  std::string path;
  std::string lock_path;
  std::vector<std::string> elsewhere;  // paths that may hold the same content
};

// Bytes of all files, whose sizes a server names: kCorrupt where they are too large to be true.
template <typename File>
Result<uint64_t> total_size(const std::vector<File>& files, std::string_view what) {
  uint64_t total = 0;
  for (const File& file : files) {
    const auto sum = checked_add<uint64_t>(total, file.size);
    if (!sum) {
      return fail(ErrorCode::kCorrupt, "{}: the sizes of its files add up to more than 2^64 bytes",
                  what);
    }
    total = *sum;
  }
  return total;
}

// Waits for whoever holds the lock, saying so.
Result<FileLock> wait_for_lock(PullContext& context, const std::string& path, FileLock::Mode mode,
                               const std::string& what);

// `request` has size and digest. Counts the file as done in the progress.
Status ensure_blob(PullContext& context, const BlobRequest& request, const BlobPlace& place);

void start_file(PullContext& context, const std::string& what);
void finish_file(PullContext& context, uint64_t size);

}  // namespace ruvllm::hub
