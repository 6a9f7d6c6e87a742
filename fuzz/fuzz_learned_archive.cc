// Archives of learned state. Whatever the bytes, reading ends with the last record or with an error
// that names the file. Each input is read as it is, and once more behind a right header, with the
// names of its blobs and its end put right.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "base/core/check.h"
#include "sona/store/archive/archive_reader.h"
#include "sona/store/sha256.h"

namespace ruvllm::sona {
namespace {

// The archive in a file that is only in memory.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : fd_(::memfd_create("archive", 0)) {
    RUVLLM_CHECK(fd_ >= 0);
    RUVLLM_CHECK(::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(fd_); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void check_error(const Error& error, const std::string& path) {
  RUVLLM_CHECK(error.message().find(path) != std::string::npos);
  RUVLLM_CHECK(error.message().size() < 8192);
}

void read(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const MemoryFile file(bytes);
  auto reader = ArchiveReader::open(file.path());
  if (!reader) return check_error(reader.error(), file.path());
  while (true) {
    const auto record = reader->next();
    if (!record) return check_error(record.error(), file.path());
    if (!*record) break;
  }
  RUVLLM_CHECK(reader->check_whole().has_value());
}

template <typename T>
T number_at(std::span<const std::byte> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}
void append(std::vector<std::byte>& bytes, const auto& value) {
  const auto raw = std::as_bytes(std::span(&value, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

// The records of `bytes`, between a header and an end as a writer would have made them.
std::vector<std::byte> put_right(std::span<const std::byte> bytes) {
  std::vector<std::byte> out;
  append(out, kArchiveMagic);
  append(out, kArchiveVersion);
  append(out, uint32_t{0});
  uint64_t num_records = 0;
  const size_t end = bytes.size() > kArchiveEndBytes ? bytes.size() - kArchiveEndBytes : 0;
  size_t at = kArchiveHeaderBytes;
  while (at + kRecordHeaderBytes <= end) {
    const auto kind = number_at<uint32_t>(bytes, at);
    const auto length = number_at<uint64_t>(bytes, at + sizeof(kind));
    const size_t body = at + kRecordHeaderBytes;
    if (length > end - body) break;
    const size_t first = out.size();
    at = body + static_cast<size_t>(length);
    out.insert(out.end(), bytes.begin() + static_cast<ptrdiff_t>(body - kRecordHeaderBytes),
               bytes.begin() + static_cast<ptrdiff_t>(at));
    ++num_records;
    constexpr size_t kName = sizeof(Sha256);
    if (kind == static_cast<uint32_t>(RecordKind::kBlob) && length >= kName + sizeof(uint64_t)) {
      const auto name = std::span(out).subspan(first + kRecordHeaderBytes, kName);
      const Sha256 sha256 =
          sha256_of(std::span(out).subspan(first + kRecordHeaderBytes + kName + sizeof(uint64_t)));
      std::memcpy(name.data(), sha256.bytes.data(), kName);
    }
  }
  const Sha256 checksum = sha256_of(out);
  append(out, static_cast<uint32_t>(RecordKind::kEnd));
  append(out, uint64_t{kArchiveEndBytes - kRecordHeaderBytes});
  append(out, num_records);
  append(out, checksum.bytes);
  return out;
}

}  // namespace
}  // namespace ruvllm::sona

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm::sona;
  const auto bytes = std::as_bytes(std::span(data, size));
  read(bytes);
  read(put_right(bytes));
  return 0;
}
