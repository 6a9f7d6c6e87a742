// Writes GGUF v3: metadata and tensor descriptions first, then tensor data streamed in order, so
// that files larger than memory can be made. Writes to "<path>.partial" and renames at finish():
// nothing half-written is left behind under the real name. Not thread-safe.
//
// What cannot be stored (a key twice, a shape that is no whole number of blocks) is reported by
// begin_tensors(). Calling out of order is a bug and checked.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/assembly/metadata.h"
#include "formats/gguf/gguf.h"

namespace ruvllm::formats {

class GgufWriter {
 public:
  explicit GgufWriter(std::string path, uint32_t alignment = 32);
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;
  ~GgufWriter();  // removes the partial file unless finish() succeeded

  // Metadata, before begin_tensors(); metadata() takes every kind of value.
  GgufMetadata& metadata();
  void add_uint32(std::string_view key, uint32_t value);
  void add_uint64(std::string_view key, uint64_t value);
  void add_int32(std::string_view key, int32_t value);
  void add_float32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_string_array(std::string_view key, std::span<const std::string> values);
  void add_int32_array(std::string_view key, std::span<const int32_t> values);
  void add_float32_array(std::string_view key, std::span<const float> values);
  // Copies one entry of another file byte for byte (e.g. its tokenizer). "general.alignment" is
  // left out: this file has its own.
  Status copy_entry(const GgufFile& source, std::string_view key);

  // Declares a tensor; data follows in the same order.
  void declare_tensor(std::string_view name, DType dtype, std::span<const uint64_t> dims);

  Status begin_tensors();  // writes header, metadata, descriptions
  Status write_tensor_data(std::span<const std::byte> bytes);  // any chunking, in tensor order
  Status finish();                                             // checks sizes, fsync, rename

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm::formats
