// Files of the store: locked, renamed and removed so that it lasts.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::sona {

// "PATH: cannot ACTION: REASON" of an errno.
std::unexpected<Error> file_failure(const std::string& path, std::string_view action, int error);

// Readable by their owner alone, like all that is in them.
Status make_private_folder(const std::string& folder);
bool file_exists(const std::string& path);
Status remove_file(const std::string& path);  // fine if it is not there
// Names of the files in a folder, in order; none if there is no folder.
std::vector<std::string> files_in(const std::string& folder);

Status sync_folder(const std::string& folder);
Status sync_file(const std::string& path);
// Renames within a folder or from one to another, and writes both folders to disk.
Status rename_durably(const std::string& from, const std::string& to);

// A file beside `path` that takes its place when it is complete; until then it goes with the
// object.
class ReplacingFile {
 public:
  static Result<ReplacingFile> create(const std::string& path);
  ReplacingFile(ReplacingFile&& other) noexcept;
  ReplacingFile& operator=(ReplacingFile&&) = delete;
  ~ReplacingFile();

  Status write(std::span<const std::byte> bytes);
  Status finish();  // on disk under its name

 private:
  ReplacingFile(std::string path, std::string new_path, int fd)
      : path_(std::move(path)), new_path_(std::move(new_path)), fd_(fd) {}

  std::string path_;
  std::string new_path_;
  int fd_;
};

// An advisory lock (flock) on a file of its own, held until destroyed or the process ends.
class FolderLock {
 public:
  enum class Mode { kShared, kExclusive };

  static Result<FolderLock> open(const std::string& path);
  FolderLock(FolderLock&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

  // Changes to the mode, or gives false and keeps the one it has: somebody else is in the way.
  Result<bool> try_lock(Mode mode);

 private:
  FolderLock(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_;
};

}  // namespace ruvllm::sona
