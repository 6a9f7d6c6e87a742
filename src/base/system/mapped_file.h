// A whole file mapped read-only, so that weights are shared with the page cache and never copied.
//
// Ownership: move-only; the mapping lives as long as the object. Thread-safe once opened.
// The size is fixed at open. Where a file truncated afterwards ends, the mapping reads as zeros and
// damaged() says so (reliability R4): nothing crashes, but nothing read may be trusted any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/core/error.h"
#include "base/system/mapping_guard.h"

namespace ruvllm {

class MappedFile {
 public:
  // Regular files only, also through symbolic links: Hugging Face's cache consists of them, hence
  // no O_NOFOLLOW. Errors name the path and the system's reason.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  // True for good once the file is shorter than it was, or a page of it could not be read. Ask
  // after reading, and before using what was read. Costs one system call.
  bool damaged() const;

  bool contains(std::span<const std::byte> bytes) const {
    return bytes.data() >= data_ && bytes.data() + bytes.size() <= data_ + size_;
  }

  // Takes the pages that `bytes`, a part of the mapping, touch out of this process's memory.
  // Whoever reads a file once keeps its resident memory small by it; what is read again is mapped
  // again.
  void release_pages(std::span<const std::byte> bytes) const;

  // Bytes of the mapping that are in physical memory now (mincore), for memory reports.
  size_t resident_bytes() const;

 private:
  MappedFile(std::string path, int fd, const std::byte* data, size_t size)
      : path_(std::move(path)), fd_(fd), data_(data), size_(size), guard_(data, size) {}

  std::string path_;
  int fd_ = -1;  // for damaged()
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  MappingGuard guard_;
};

}  // namespace ruvllm
