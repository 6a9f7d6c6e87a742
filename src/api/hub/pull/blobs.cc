#include "api/hub/pull/blobs.h"

#include <cerrno>
#include <filesystem>

#include <unistd.h>

#include "base/core/check.h"

namespace ruvllm::hub {
namespace {

constexpr std::chrono::milliseconds kLockPoll{200};

// A hard link to the same content in another store, after making sure that it is the same.
bool take_from_elsewhere(PullContext& context, const BlobRequest& request, const BlobPlace& place) {
  for (const std::string& candidate : place.elsewhere) {
    if (candidate == place.path || file_size(candidate) != request.size) continue;
    context.board.set_activity("verifying");
    const auto hex = hash_file(candidate, request.digest->kind);
    if (!hex || *hex != request.digest->hex) continue;
    if (::link(candidate.c_str(), place.path.c_str()) != 0) continue;  // another disk, say
    context.board.note(fmt::format("{}: linked to {}", request.what, candidate));
    return true;
  }
  return false;
}

}  // namespace

Result<FileLock> wait_for_lock(PullContext& context, const std::string& path, FileLock::Mode mode,
                               const std::string& what) {
  bool told = false;
  while (true) {
    RUVLLM_ASSIGN(std::optional<FileLock> lock, FileLock::try_lock(path, mode));
    if (lock) return *std::move(lock);
    if (!told) context.board.note(what + ": waiting for another program that is at work on it");
    told = true;
    context.board.set_activity("waiting for another program");
    RUVLLM_TRY(context.wait(kLockPoll));
  }
}

void start_file(PullContext& context, const std::string& what) {
  context.board.update([&](PullProgress& progress) { progress.file = what; });
}

void finish_file(PullContext& context, uint64_t size) {
  context.finished_bytes += size;
  context.board.update([&](PullProgress& progress) {
    ++progress.files_done;
    progress.bytes_done = context.finished_bytes;
  });
}

Status ensure_blob(PullContext& context, const BlobRequest& request, const BlobPlace& place) {
  RUVLLM_CHECK(request.size.has_value() && request.digest.has_value());
  start_file(context, request.what);
  RUVLLM_TRY(make_folders(std::filesystem::path(place.path).parent_path()));
  RUVLLM_ASSIGN(const FileLock lock,
                wait_for_lock(context, place.lock_path, FileLock::Mode::kExclusive, request.what));
  const std::optional<uint64_t> size_here = file_size(place.path);
  const bool there = size_here == request.size;
  if (!there && size_here) {
    context.board.note(
        fmt::format("{}: {} has the wrong size; fetching it again", request.what, place.path));
    ::unlink(place.path.c_str());
  }
  if (!there && !take_from_elsewhere(context, request, place)) {
    RUVLLM_ASSIGN(const VerifiedFile file, download_blob(context, request));
    RUVLLM_TRY(publish_file(file.path, place.path));
  }
  finish_file(context, *request.size);
  return {};
}

}  // namespace ruvllm::hub
