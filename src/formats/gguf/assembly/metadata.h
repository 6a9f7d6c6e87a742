// GGUF metadata as it is encoded in a file, grown in memory: kilobytes, or megabytes with a
// vocabulary.
//
// A mistake of the caller (a key twice, an empty key) is kept and reported by check(), so that
// adding cannot fail half-way. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/core/error.h"
#include "formats/gguf/gguf.h"

namespace ruvllm::formats {

// Appends values as they stand in a GGUF file.
class GgufEncoder {
 public:
  template <typename T>
  void put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  void put_bytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void put_string(std::string_view text) {
    put<uint64_t>(text.size());
    put_bytes(std::as_bytes(std::span(text)));
  }
  // Magic, version 3 and the two counts.
  void put_header(uint64_t num_tensors, uint64_t num_entries);
  std::span<const std::byte> bytes() const { return bytes_; }
  std::vector<std::byte> take() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class GgufMetadata {
 public:
  void add_uint32(std::string_view key, uint32_t value);
  void add_uint64(std::string_view key, uint64_t value);
  void add_int32(std::string_view key, int32_t value);
  void add_float32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_string_array(std::string_view key, std::span<const std::string> values);
  void add_int32_array(std::string_view key, std::span<const int32_t> values);
  void add_uint8_array(std::string_view key, std::span<const uint8_t> values);
  void add_float32_array(std::string_view key, std::span<const float> values);
  void add_bool_array(std::string_view key, const std::vector<bool>& values);
  // An entry as it is encoded in a file: `value` is what follows its type tag.
  void add_encoded(std::string_view key, GgufType type, std::span<const std::byte> value);

  bool has(std::string_view key) const { return keys_.contains(std::string(key)); }
  uint64_t num_entries() const { return num_entries_; }
  std::span<const std::byte> bytes() const { return entries_.bytes(); }
  // The first mistake, with `file` in front.
  Status check(std::string_view file) const;

 private:
  void put_key(std::string_view key, GgufType type);
  template <typename T>
  void add_scalar(std::string_view key, GgufType type, T value) {
    put_key(key, type);
    entries_.put<T>(value);
  }
  template <typename T>
  void add_array(std::string_view key, GgufType element_type, std::span<const T> values);

  GgufEncoder entries_;
  uint64_t num_entries_ = 0;
  std::unordered_set<std::string> keys_;
  std::optional<Error> mistake_;
};

}  // namespace ruvllm::formats
