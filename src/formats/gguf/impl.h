// What a GgufFile owns. Internal to `formats`.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/memory/buffer.h"
#include "base/system/mapped_file.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/name_index.h"
#include "formats/gguf/parser.h"

namespace ruvllm::formats {

struct GgufFile::Impl {
  // An entry with its bytes.
  struct Value {
    const GgufEntry& entry;
    const std::byte* data;
  };

  // Position in a split set, as the file's own metadata has it. A file that is whole is 0 of 1.
  struct SplitPosition {
    uint64_t part_idx = 0;
    uint64_t num_parts = 1;
  };

  // Opens one file, whether it is part of a set or not.
  static Result<std::unique_ptr<Impl>> open_one(const std::string& path);
  Result<SplitPosition> split_position() const;
  // Opens and takes over the other parts of the set whose first part this is.
  Status add_parts(const SplitPosition& position);
  // Takes over the tensors of part `part_idx` (from 0) of a set.
  Status add_part(const std::string& part_path, uint64_t part_idx, uint64_t num_parts);
  // Builds the indices; refuses names that occur twice.
  Status index_names();

  const GgufEntry* find_entry(std::string_view key) const {
    return entry_index.find(tables.entries, key);
  }
  std::span<const std::byte> value_of(const GgufEntry& entry) const {
    return tables.values[static_cast<size_t>(&entry - tables.entries.data())];
  }
  // An entry of the wanted type. Arrays: `accepts` is asked for the element type.
  Result<Value> find_value(std::string_view key, bool (*accepts)(GgufType), bool array,
                           std::string_view expected) const;
  Result<uint64_t> get_uint(std::string_view key) const;
  std::unexpected<Error> bad_value(const Value& value, std::string_view reason) const;

  std::string path;
  std::span<const std::byte> memory;  // of parse() and assemble(); empty for opened files
  std::vector<MappedFile> parts;      // of open(); entries and version are those of the first
  // Of assemble(): what it was made from, the encoded metadata, tensor names and changed tensors.
  std::string format;
  std::vector<std::byte> header;
  std::vector<std::string> names;
  std::vector<Buffer> buffers;
  GgufTables tables;                  // tensors of all parts
  NameIndex<GgufEntry, &GgufEntry::key> entry_index;
  NameIndex<GgufTensor, &GgufTensor::name> tensor_index;
};

}  // namespace ruvllm::formats
