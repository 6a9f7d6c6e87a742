#include "base/system/mapped_file.h"

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ruvllm {
namespace {

// Closes the descriptor on every path out of open().
struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::unexpected<Error> open_failure(const std::string& path, int error) {
  const ErrorCode code = error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
  return fail(code, "{}: cannot open: {}; check the path and its permissions", path,
              std::strerror(error));
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return open_failure(path, errno);
  struct stat info{};
  if (::fstat(file.fd, &info) != 0) return open_failure(path, errno);
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::kInvalidArgument, "{}: not a regular file; name a model file", path);
  }
  const size_t size = static_cast<size_t>(info.st_size);
  if (size == 0) return fail(ErrorCode::kCorrupt, "{}: file is empty; download it again", path);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED) {
    return fail(ErrorCode::kUnavailable, "{}: cannot map {} bytes: {}", path, size,
                std::strerror(errno));
  }
  return MappedFile(path, std::exchange(file.fd, -1), static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      guard_(std::move(other.guard_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(guard_, other.guard_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  guard_.release();
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) ::close(fd_);
}

bool MappedFile::damaged() const {
  if (guard_.damaged()) return true;
  // A file cut within its last page raises no SIGBUS: the page's rest silently becomes zeros.
  struct stat info{};
  if (::fstat(fd_, &info) == 0 && static_cast<size_t>(info.st_size) >= size_) return false;
  guard_.mark_damaged();
  return true;
}

void MappedFile::release_pages(std::span<const std::byte> bytes) const {
  if (bytes.empty() || !contains(bytes)) return;
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = static_cast<size_t>(bytes.data() - data_) / page * page;
  const size_t end = static_cast<size_t>(bytes.data() - data_) + bytes.size();
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

size_t MappedFile::resident_bytes() const {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((size_ + page - 1) / page);
  if (::mincore(const_cast<std::byte*>(data_), size_, pages.data()) != 0) return 0;
  size_t resident = 0;
  for (const unsigned char flags : pages) resident += (flags & 1u) != 0 ? page : 0;
  return resident < size_ ? resident : size_;
}

}  // namespace ruvllm
