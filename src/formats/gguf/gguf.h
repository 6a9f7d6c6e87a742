// GGUF v2 and v3 files, read through a mapping (https://github.com/ggml-org/ggml docs/gguf.md).
//
// All counts, sizes and offsets are untrusted: checked arithmetic, caps of reliability R1 and R2,
// typed getters that check type, element type and count (R3). Errors name file, field or tensor and
// byte offset. Immutable after open; thread-safe. Tensor data and metadata strings point into the
// mapping and live as long as the GgufFile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "tensor/dtype.h"
#include "tensor/view.h"

namespace ruvllm::formats {

enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

struct GgufTensor {
  std::string_view name;
  DType dtype;
  uint32_t num_dims;  // 1..4
  uint64_t dims[4];   // dims[0] is the contiguous one (row length); unused ones are 1
  std::span<const std::byte> data;

  // As [num_rows, num_cols] = [dims[1] * dims[2] * dims[3], dims[0]].
  MatrixView matrix() const;
};

// One metadata entry; format_value() renders it: scalars and strings as text, arrays as
// "[n] first, ...".
struct GgufEntry {
  std::string_view key;
  GgufType type;
  GgufType element_type;  // for arrays
  uint64_t count;         // for arrays, else 1
};

struct GgufAssembly;

class GgufFile {
 public:
  // Opens `path`; if it is the first of a split set ("...-00001-of-0000N.gguf", split.count > 1)
  // opens and checks all parts. A file without tensors (vocabulary only) is fine.
  static Result<GgufFile> open(const std::string& path);

  // The same from memory (fuzzing, tests); `name` is used in errors. Does not copy.
  static Result<GgufFile> parse(std::span<const std::byte> bytes, std::string name);

  // A file put together in memory from another format (assembly/assemble.h). Names, shapes and
  // sizes are checked as in a file; tensors may share bytes.
  static Result<GgufFile> assemble(GgufAssembly assembly);

  GgufFile(GgufFile&&) noexcept;
  GgufFile& operator=(GgufFile&&) noexcept;
  ~GgufFile();

  const std::string& path() const;
  uint32_t version() const;
  // "GGUF v3", or what the file was assembled from: "safetensors".
  std::string format() const;
  std::span<const GgufEntry> entries() const;
  std::span<const GgufTensor> tensors() const;
  const GgufTensor* find_tensor(std::string_view name) const;  // nullptr if absent
  const GgufEntry* find_entry(std::string_view key) const;     // nullptr if absent
  bool has(std::string_view key) const;
  // "" if absent. Control characters are escaped: the text may go to a terminal.
  std::string format_value(std::string_view key, size_t max_items) const;
  // The value as it stands in the file, after its type tag (arrays: element type, count, elements);
  // empty if absent. For copying entries.
  std::span<const std::byte> encoded_value(std::string_view key) const;

  // Scalars. Any integer type converts if the value fits; floats accept f32 and f64 and must be
  // finite. kNotFound if absent, kCorrupt if of another type or out of range.
  Result<uint64_t> get_uint(std::string_view key) const;
  Result<int64_t> get_int(std::string_view key) const;
  Result<double> get_float(std::string_view key) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<std::string_view> get_string(std::string_view key) const;
  // Arrays, element type checked.
  Result<std::vector<std::string_view>> get_string_array(std::string_view key) const;
  Result<std::vector<int64_t>> get_int_array(std::string_view key) const;
  Result<std::vector<double>> get_float_array(std::string_view key) const;

  // True for good once a part was truncated or became unreadable while it was mapped; what was read
  // from it may be zeros (base/system/mapped_file.h). check_intact() is the same as an error.
  bool damaged() const;
  Status check_intact() const;

  // Takes the pages of `bytes`, tensor data that was read and will hardly be again, out of this
  // process's memory (base/system/mapped_file.h). Nothing happens to what is not mapped.
  void release_pages(std::span<const std::byte> bytes) const;

  // Bytes mapped over all parts, and how many of them are resident now. What was assembled counts
  // with the buffers that it owns.
  uint64_t mapped_bytes() const;
  uint64_t resident_bytes() const;

 private:
  struct Impl;
  explicit GgufFile(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace ruvllm::formats
