// Writes an archive beside its path and gives it its name when it is whole and on disk.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/core/error.h"
#include "sona/store/archive/archive_format.h"
#include "sona/store/files/durable_files.h"
#include "sona/store/sha256.h"

namespace ruvllm::sona {

class ArchiveWriter {
 public:
  static Result<ArchiveWriter> create(const std::string& path);

  Status add(const ArchiveRecord& record);
  Status finish();  // once; without it no file is left

 private:
  explicit ArchiveWriter(ReplacingFile file) : file_(std::move(file)) {}
  Status write(std::span<const std::byte> bytes);

  ReplacingFile file_;
  Sha256Hasher hasher_;
  uint64_t num_records_ = 0;
};

}  // namespace ruvllm::sona
