// safetensors files, read through a mapping (https://github.com/huggingface/safetensors): 8 bytes
// of header length, a JSON header, data. And the set of them that a checkpoint's folder holds.
//
// Everything in the header is untrusted: lengths, offsets and shapes are checked against the file
// with checked arithmetic; errors name file, tensor and field. Immutable after open; thread-safe.
// Tensor data points into the mapping and lives as long as its file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "base/system/mapped_file.h"
#include "formats/safetensors/safe_type.h"

namespace ruvllm::formats {

struct SafeTensor {
  std::string name;
  SafeType type;
  std::vector<uint64_t> shape;      // rows first; empty: a scalar
  std::span<const std::byte> data;  // row-major, at any address
};

// "[4, 8]".
std::string shape_text(std::span<const uint64_t> shape);

class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::string& path);
  // The same from memory (fuzzing, tests); `name` is used in errors. Does not copy.
  static Result<SafetensorsFile> parse(std::span<const std::byte> bytes, std::string name);

  const std::string& path() const { return path_; }
  // Sorted by name.
  std::span<const SafeTensor> tensors() const { return tensors_; }
  const SafeTensor* find(std::string_view name) const;  // nullptr if absent
  // Gives up the mapping, if there is one, to whoever keeps the tensors' bytes alive.
  std::vector<MappedFile> take_mapping() && { return std::move(mapping_); }

 private:
  std::string path_;
  std::vector<MappedFile> mapping_;  // of open(): one
  std::vector<SafeTensor> tensors_;
};

// A folder's weights: model.safetensors, or the shards that model.safetensors.index.json names.
class SafetensorsSet {
 public:
  static Result<SafetensorsSet> open(const std::string& folder);

  // Of all shards, sorted by name; names are unique.
  std::span<const SafeTensor> tensors() const { return tensors_; }
  const SafeTensor* find(std::string_view name) const;
  // The shard that a tensor of this set is in, for errors.
  const std::string& path_of(const SafeTensor& tensor) const;
  // kUnavailable once a shard was truncated or became unreadable while it was mapped.
  Status check_intact() const;
  // Takes the pages of `bytes`, tensor data that was read and will hardly be again, out of this
  // process's memory (base/system/mapped_file.h).
  void release_pages(std::span<const std::byte> bytes) const;
  std::vector<MappedFile> take_mappings() && { return std::move(mappings_); }

 private:
  void add(SafetensorsFile file);
  Status index(const std::string& folder);

  std::vector<SafeTensor> tensors_;
  std::vector<MappedFile> mappings_;
  std::string folder_;
};

}  // namespace ruvllm::formats
