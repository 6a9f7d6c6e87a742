// A file that gets its name only when it is complete and on disk: written as "<path>.partial", then
// synced and renamed. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::formats {

class OutputFile {
 public:
  explicit OutputFile(std::string path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();  // removes the partial file unless commit() succeeded

  // Replaces a partial file that an earlier run left.
  Status open();
  // Buffered. After an error the partial file is gone and every call fails.
  Status write(std::span<const std::byte> bytes);
  Status commit();

  uint64_t size() const { return size_; }  // bytes written so far

 private:
  Status flush();
  Status write_through(std::span<const std::byte> bytes);
  void start_writeback();
  std::unexpected<Error> give_up(const char* action, int error);
  void discard();

  std::string path_;
  std::string partial_path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  uint64_t handed_over_ = 0;   // bytes that the system has
  uint64_t on_their_way_ = 0;  // of them, to the disk
  std::vector<std::byte> buffer_;
};

}  // namespace ruvllm::formats
