// Reads an archive that may be damaged or hostile: every error names the file, the place and the
// reason, and nothing is read beyond a record's length.
//
// open() reads all of it once for the checksum, so that a damaged archive is refused before
// anything of it is used. A checksum proves nothing about who wrote it: each record is checked all
// the same (lengths, names, kinds, finite figures, names of blobs against their content).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/core/error.h"
#include "base/system/mapped_file.h"
#include "sona/store/archive/archive_format.h"

namespace ruvllm::sona {

class ArchiveReader {
 public:
  static Result<ArchiveReader> open(const std::string& path);

  // Nothing after the last record. Views in it hold as long as the reader.
  Result<std::optional<ArchiveRecord>> next();

  // "PATH, record N at byte M", of the record last read; for errors about what it says.
  std::string place() const;
  // Fails if the file was shortened while it was read; ask before using what was read.
  Status check_whole() const;

 private:
  explicit ArchiveReader(MappedFile file) : file_(std::move(file)) {}
  Status check_frame();

  MappedFile file_;
  size_t offset_ = kArchiveHeaderBytes;
  size_t record_offset_ = 0;
  size_t end_ = 0;  // where the last record begins
  uint64_t num_read_ = 0;
  uint64_t num_records_ = 0;
};

}  // namespace ruvllm::sona
