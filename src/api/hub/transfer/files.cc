#include "api/hub/transfer/files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kReserveBytes = uint64_t{16} << 20;

std::string_view remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space, or choose another disk with HF_HOME and XDG_DATA_HOME";
    case EFBIG:
      return "raise the file size limit (ulimit -f) or choose another disk";
    case EACCES:
    case EPERM:
    case EROFS:
      return "check its permissions, or choose another folder with HF_HOME and XDG_DATA_HOME";
    default:
      return "check the path and the disk";
  }
}

std::string megabytes(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

}  // namespace

std::unexpected<Error> file_failure(const std::string& path, std::string_view action, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return fail(full ? ErrorCode::kResourceExhausted : ErrorCode::kUnavailable,
              "{}: cannot {}: {}; {}", path, action, std::strerror(error), remedy(error));
}

Status make_folders(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return file_failure(folder, "create", error.value());
  return {};
}

std::optional<uint64_t> free_bytes(const std::string& folder) {
  struct statvfs info{};
  fs::path place = folder;
  while (::statvfs(place.c_str(), &info) != 0) {
    if (errno != ENOENT || !place.has_relative_path()) return std::nullopt;
    place = place.parent_path();
  }
  return uint64_t{info.f_bavail} * uint64_t{info.f_frsize};
}

Status check_space(const std::string& folder, uint64_t needed) {
  const std::optional<uint64_t> available = free_bytes(folder);
  if (!available || (*available >= needed && *available - needed >= kReserveBytes)) return {};
  return fail(ErrorCode::kResourceExhausted,
              "{}: not enough disk space: {} are needed, {} are free; {}", folder,
              megabytes(needed + kReserveBytes), megabytes(*available), remedy(ENOSPC));
}

bool file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::optional<uint64_t> file_size(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return static_cast<uint64_t>(info.st_size);
}

void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);  // some file systems cannot; the file is whole anyway
  ::close(fd);
}

Status publish_file(const std::string& partial_path, const std::string& final_path) {
  if (std::rename(partial_path.c_str(), final_path.c_str()) != 0) {
    return file_failure(final_path, "rename to", errno);
  }
  sync_folder(fs::path(final_path).parent_path());
  return {};
}

Status write_small_file(const std::string& path, std::string_view content) {
  const std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return file_failure(temporary, "create", errno);
  bool good = true;
  for (std::string_view rest = content; good && !rest.empty();) {
    const ssize_t written = ::write(fd, rest.data(), rest.size());
    if (written > 0) rest.remove_prefix(static_cast<size_t>(written));
    good = written > 0 || (written < 0 && errno == EINTR);
  }
  good = good && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!good) {
    ::unlink(temporary.c_str());
    return file_failure(path, "write", error);
  }
  return publish_file(temporary, path);
}

Result<std::string> read_beginning(const std::string& path, size_t num_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return fail(ErrorCode::kNotFound, "{}: no such file", path);
    return file_failure(path, "read", errno);
  }
  std::string content(num_bytes, '\0');
  size_t size = 0;
  ssize_t count = 0;
  do {
    count = ::read(fd, content.data() + size, content.size() - size);
    if (count > 0) size += static_cast<size_t>(count);
  } while (count > 0 && size < content.size());
  const int error = errno;
  ::close(fd);
  if (count < 0) return file_failure(path, "read", error);
  content.resize(size);
  return content;
}

Result<std::string> read_small_file(const std::string& path, size_t max_bytes) {
  RUVLLM_ASSIGN(std::string content, read_beginning(path, max_bytes + 1));
  if (content.size() > max_bytes) {
    return fail(ErrorCode::kCorrupt, "{}: larger than expected", path);
  }
  return content;
}

Status make_relative_link(const std::string& target, const std::string& link) {
  const fs::path folder = fs::path(link).parent_path();
  RUVLLM_TRY(make_folders(folder));
  const std::string relative = fs::path(target).lexically_relative(folder);
  // Made beside and renamed, so that the name is there all the time.
  const std::string temporary = fmt::format("{}.{}.tmp", link, ::getpid());
  ::unlink(temporary.c_str());
  if (::symlink(relative.c_str(), temporary.c_str()) != 0) {
    return file_failure(link, "create a link at", errno);
  }
  return publish_file(temporary, link);
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::optional<FileLock>> FileLock::try_lock(const std::string& path, Mode mode) {
  RUVLLM_TRY(make_folders(fs::path(path).parent_path()));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return file_failure(path, "create a lock at", errno);
  FileLock lock(fd);
  const int operation = (mode == Mode::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  if (::flock(fd, operation) == 0) return std::optional<FileLock>(std::move(lock));
  if (errno == EWOULDBLOCK) return std::optional<FileLock>();
  return file_failure(path, "lock", errno);
}

}  // namespace ruvllm::hub
