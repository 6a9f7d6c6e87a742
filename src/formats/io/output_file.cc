#include "formats/io/output_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ruvllm::formats {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr uint64_t kWritebackBytes = uint64_t{32} << 20;

std::string_view remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or choose another disk";
    case EFBIG:
      return "raise the file size limit or choose another disk";
    case ENOENT:
      return "create the folder first";
    default:
      return "check the path and its permissions";
  }
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Makes the rename itself durable. Some file systems cannot sync folders; the file is whole anyway.
void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

OutputFile::OutputFile(std::string path)
    : path_(std::move(path)), partial_path_(path_ + ".partial") {}

OutputFile::~OutputFile() { discard(); }

Status OutputFile::open() {
  ::unlink(partial_path_.c_str());
  // O_EXCL: never write through a link that someone else put there.
  fd_ = ::open(partial_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) return give_up("create", errno);
  buffer_.reserve(kBufferBytes);
  return {};
}

Status OutputFile::write(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) RUVLLM_TRY(flush());
  if (bytes.size() >= kBufferBytes) return write_through(bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Status OutputFile::flush() {
  RUVLLM_TRY(write_through(buffer_));
  buffer_.clear();
  return {};
}

Status OutputFile::write_through(std::span<const std::byte> bytes) {
  if (fd_ < 0) return give_up("write", EBADF);
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return give_up("write", written < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(written));
    handed_over_ += static_cast<uint64_t>(written);
  }
  start_writeback();
  return {};
}

// Has the system write to the disk meanwhile: the sync at the end then finds little to wait for,
// and dirty pages do not pile up. Only a hint.
void OutputFile::start_writeback() {
#ifdef SYNC_FILE_RANGE_WRITE
  if (handed_over_ - on_their_way_ < kWritebackBytes) return;
  ::sync_file_range(fd_, static_cast<off_t>(on_their_way_),
                    static_cast<off_t>(handed_over_ - on_their_way_), SYNC_FILE_RANGE_WRITE);
  on_their_way_ = handed_over_;
#endif
}

Status OutputFile::commit() {
  RUVLLM_TRY(flush());
  if (::fsync(fd_) != 0) return give_up("sync", errno);
  const int closed = ::close(std::exchange(fd_, -1));
  if (closed != 0 || std::rename(partial_path_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(partial_path_.c_str());
    return give_up("rename", error);
  }
  sync_folder(folder_of(path_));
  return {};
}

std::unexpected<Error> OutputFile::give_up(const char* action, int error) {
  discard();
  return fail(ErrorCode::kUnavailable, "{}: cannot {} after {} bytes: {}; {}", partial_path_,
              action, size_, std::strerror(error), remedy(error));
}

void OutputFile::discard() {
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));
  ::unlink(partial_path_.c_str());
}

}  // namespace ruvllm::formats
