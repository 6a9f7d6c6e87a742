// A whole file mapped read-only, so that weights are shared with the page cache and never copied.
//
// Ownership: move-only; the mapping lives as long as the object. Thread-safe once opened.
// The size is fixed at open; a file truncated afterwards raises SIGBUS on access (reliability R4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/core/error.h"

namespace ruvllm {

class MappedFile {
 public:
  // Regular files only. Errors name the path and the system's reason.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  // Bytes of the mapping that are in physical memory now (mincore), for memory reports.
  size_t resident_bytes() const;

 private:
  MappedFile(std::string path, const std::byte* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ruvllm
