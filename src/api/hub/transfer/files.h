// Files and folders of the stores: created, locked, renamed durably; errors with a remedy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/core/error.h"

namespace ruvllm::hub {

// "PATH: cannot ACTION: REASON; REMEDY" of an errno.
std::unexpected<Error> file_failure(const std::string& path, std::string_view action, int error);

Status make_folders(const std::string& folder);
// Of the file system that `folder` is or will be on; nothing if it does not say.
std::optional<uint64_t> free_bytes(const std::string& folder);
// Fails if less than `needed` and a small reserve are free.
Status check_space(const std::string& folder, uint64_t needed);

bool file_exists(const std::string& path);  // links are followed
std::optional<uint64_t> file_size(const std::string& path);

// Gives a finished file on disk its name: the file must be synced already.
Status publish_file(const std::string& partial_path, const std::string& final_path);
// A whole small file, written beside and renamed.
Status write_small_file(const std::string& path, std::string_view content);
Result<std::string> read_small_file(const std::string& path, size_t max_bytes);
// At most `num_bytes` of a file.
Result<std::string> read_beginning(const std::string& path, size_t num_bytes);
// A relative link at `link` to `target`, replacing a link that is there.
Status make_relative_link(const std::string& target, const std::string& link);
void sync_folder(const std::string& folder);

// An advisory lock (flock) on a file of its own, held until destroyed; also respected by
// huggingface_hub, whose lock files are the same.
class FileLock {
 public:
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileLock();

  enum class Mode { kShared, kExclusive };
  // Nothing: somebody else holds it.
  static Result<std::optional<FileLock>> try_lock(const std::string& path, Mode mode);

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace ruvllm::hub
