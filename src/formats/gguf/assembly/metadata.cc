#include "formats/gguf/assembly/metadata.h"

#include <bit>
#include <utility>

#include <fmt/format.h>

#include "formats/gguf/types.h"

namespace ruvllm::formats {

static_assert(std::endian::native == std::endian::little,
              "values are written as they are in memory");

void GgufEncoder::put_header(uint64_t num_tensors, uint64_t num_entries) {
  put_bytes(std::as_bytes(std::span(std::string_view("GGUF"))));
  put<uint32_t>(3);
  put<uint64_t>(num_tensors);
  put<uint64_t>(num_entries);
}

void GgufMetadata::put_key(std::string_view key, GgufType type) {
  const auto refuse = [this](std::string message) {
    if (!mistake_) mistake_ = Error(ErrorCode::kInvalidArgument, std::move(message));
  };
  if (key.empty() || key.size() > kGgufMaxKeyBytes) {
    refuse(fmt::format("metadata key {} has {} bytes; use 1 to {}", formats::quoted(key), key.size(),
                       kGgufMaxKeyBytes));
  }
  if (!keys_.emplace(key).second) {
    refuse(fmt::format("metadata key {} is added twice; add it once", formats::quoted(key)));
  }
  ++num_entries_;
  entries_.put_string(key);
  entries_.put(static_cast<uint32_t>(type));
}

template <typename T>
void GgufMetadata::add_array(std::string_view key, GgufType element_type,
                             std::span<const T> values) {
  put_key(key, GgufType::kArray);
  entries_.put(static_cast<uint32_t>(element_type));
  entries_.put<uint64_t>(values.size());
  entries_.put_bytes(std::as_bytes(values));
}

void GgufMetadata::add_uint32(std::string_view key, uint32_t value) {
  add_scalar(key, GgufType::kUint32, value);
}
void GgufMetadata::add_uint64(std::string_view key, uint64_t value) {
  add_scalar(key, GgufType::kUint64, value);
}
void GgufMetadata::add_int32(std::string_view key, int32_t value) {
  add_scalar(key, GgufType::kInt32, value);
}
void GgufMetadata::add_float32(std::string_view key, float value) {
  add_scalar(key, GgufType::kFloat32, value);
}
void GgufMetadata::add_bool(std::string_view key, bool value) {
  add_scalar<uint8_t>(key, GgufType::kBool, value ? 1 : 0);
}
void GgufMetadata::add_string(std::string_view key, std::string_view value) {
  put_key(key, GgufType::kString);
  entries_.put_string(value);
}
void GgufMetadata::add_string_array(std::string_view key, std::span<const std::string> values) {
  put_key(key, GgufType::kArray);
  entries_.put(static_cast<uint32_t>(GgufType::kString));
  entries_.put<uint64_t>(values.size());
  for (const std::string& value : values) entries_.put_string(value);
}
void GgufMetadata::add_int32_array(std::string_view key, std::span<const int32_t> values) {
  add_array(key, GgufType::kInt32, values);
}
void GgufMetadata::add_uint8_array(std::string_view key, std::span<const uint8_t> values) {
  add_array(key, GgufType::kUint8, values);
}
void GgufMetadata::add_float32_array(std::string_view key, std::span<const float> values) {
  add_array(key, GgufType::kFloat32, values);
}
void GgufMetadata::add_bool_array(std::string_view key, const std::vector<bool>& values) {
  const std::vector<uint8_t> bytes(values.begin(), values.end());
  add_array<uint8_t>(key, GgufType::kBool, bytes);
}
void GgufMetadata::add_encoded(std::string_view key, GgufType type,
                               std::span<const std::byte> value) {
  put_key(key, type);
  entries_.put_bytes(value);
}

Status GgufMetadata::check(std::string_view file) const {
  if (!mistake_) return {};
  return std::unexpected(Error(*mistake_).with_context(file));
}

}  // namespace ruvllm::formats
