#include "sona/store/files/durable_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ruvllm::sona {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Status sync_path(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return file_failure(path, "open", errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error == 0 ? Status() : file_failure(path, "write to disk", error);
}

}  // namespace

std::unexpected<Error> file_failure(const std::string& path, std::string_view action, int error) {
  const ErrorCode code = error == ENOSPC || error == EDQUOT ? ErrorCode::kResourceExhausted
                         : error == ENOENT                  ? ErrorCode::kNotFound
                                                            : ErrorCode::kUnavailable;
  return fail(code, "{}: cannot {}: {}", path, action, std::strerror(error));
}

Status make_private_folder(const std::string& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  const std::string parent = folder_of(folder);
  if (parent != folder) fs::create_directories(parent, error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return file_failure(folder, "make the folder", errno);
  }
  return sync_folder(parent);
}

bool file_exists(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0;
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return file_failure(path, "remove", errno);
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

Status sync_folder(const std::string& folder) { return sync_path(folder, O_RDONLY | O_DIRECTORY); }

Status sync_file(const std::string& path) { return sync_path(path, O_RDONLY); }

Status rename_durably(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) {
    return file_failure(from, fmt::format("rename to {}", to), errno);
  }
  RUVLLM_TRY(sync_folder(folder_of(to)));
  return folder_of(from) == folder_of(to) ? Status() : sync_folder(folder_of(from));
}

Result<ReplacingFile> ReplacingFile::create(const std::string& path) {
  const std::string new_path = fmt::format("{}.{}.tmp", path, ::getpid());
  RUVLLM_TRY(remove_file(new_path));  // of a process of this number that ended in the middle
  const int fd =
      ::open(new_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return file_failure(new_path, "create", errno);
  return ReplacingFile(path, new_path, fd);
}

ReplacingFile::ReplacingFile(ReplacingFile&& other) noexcept
    : path_(std::move(other.path_)),
      new_path_(std::move(other.new_path_)),
      fd_(std::exchange(other.fd_, -1)) {}

ReplacingFile::~ReplacingFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(new_path_.c_str());
}

Status ReplacingFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_failure(new_path_, "write", errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status ReplacingFile::finish() {
  if (::fsync(fd_) != 0) return file_failure(new_path_, "write to disk", errno);
  RUVLLM_TRY(rename_durably(new_path_, path_));
  ::close(std::exchange(fd_, -1));
  return {};
}

Result<FolderLock> FolderLock::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return file_failure(path, "open", errno);
  return FolderLock(path, fd);
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<bool> FolderLock::try_lock(Mode mode) {
  const int operation = mode == Mode::kShared ? LOCK_SH : LOCK_EX;
  while (::flock(fd_, operation | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return file_failure(path_, "lock", errno);
  }
  return true;
}

}  // namespace ruvllm::sona
