// Builds GGUF bytes field by field, right or wrong, for tests and fuzz seeds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "formats/gguf/gguf.h"

namespace ruvllm::formats {

class GgufBytes {
 public:
  template <typename T>
  GgufBytes& put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
    return *this;
  }
  GgufBytes& text(std::string_view characters) {
    for (const char c : characters) put(c);
    return *this;
  }
  GgufBytes& string(std::string_view characters) {
    return put<uint64_t>(characters.size()).text(characters);
  }
  GgufBytes& header(uint64_t num_tensors, uint64_t num_entries, uint32_t version = 3) {
    return text("GGUF").put(version).put(num_tensors).put(num_entries);
  }
  GgufBytes& key(std::string_view name, GgufType type) {
    return string(name).put(static_cast<uint32_t>(type));
  }
  template <typename T>
  GgufBytes& scalar(std::string_view name, GgufType type, T value) {
    return key(name, type).put(value);
  }
  GgufBytes& array(std::string_view name, GgufType element_type, uint64_t count) {
    return key(name, GgufType::kArray).put(static_cast<uint32_t>(element_type)).put(count);
  }
  GgufBytes& tensor(std::string_view name, std::initializer_list<uint64_t> dims, uint32_t ggml_type,
                    uint64_t offset) {
    string(name).put(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) put(dim);
    return put(ggml_type).put(offset);
  }
  // Zeros up to a multiple of `alignment`, then `count` bytes 1, 2, 3, ...
  GgufBytes& data(size_t count, size_t alignment = 32) {
    while (bytes_.size() % alignment != 0) put<uint8_t>(0);
    for (size_t i = 0; i < count; ++i) put(static_cast<uint8_t>(i + 1));
    return *this;
  }

  std::span<const std::byte> bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::byte> bytes_;
};

inline constexpr uint32_t kGgmlF32 = 0;
inline constexpr uint32_t kGgmlQ8_0 = 8;

// A valid file of 1376 bytes with an entry of every value type, an array of every element type and
// three tensors.
inline GgufBytes every_type_file() {
  GgufBytes file;
  file.header(3, 26);
  file.scalar("general.alignment", GgufType::kUint32, uint32_t{64});
  file.scalar("u8", GgufType::kUint8, uint8_t{200}).scalar("i8", GgufType::kInt8, int8_t{-100});
  file.scalar("u16", GgufType::kUint16, uint16_t{60000});
  file.scalar("i16", GgufType::kInt16, int16_t{-30000});
  file.scalar("u32", GgufType::kUint32, uint32_t{4000000000});
  file.scalar("i32", GgufType::kInt32, int32_t{-2000000000});
  file.scalar("f32", GgufType::kFloat32, 0.5f).scalar("bool", GgufType::kBool, uint8_t{1});
  file.key("string", GgufType::kString).string("text\nof two lines");
  file.scalar("u64", GgufType::kUint64, UINT64_MAX).scalar("i64", GgufType::kInt64, INT64_MIN);
  file.scalar("f64", GgufType::kFloat64, -0.25);
  file.array("array.u8", GgufType::kUint8, 3).put<uint8_t>(1).put<uint8_t>(2).put<uint8_t>(255);
  file.array("array.i8", GgufType::kInt8, 2).put<int8_t>(-1).put<int8_t>(1);
  file.array("array.u16", GgufType::kUint16, 1).put<uint16_t>(65535);
  file.array("array.i16", GgufType::kInt16, 1).put<int16_t>(-1);
  file.array("array.u32", GgufType::kUint32, 1).put<uint32_t>(UINT32_MAX);
  file.array("array.i32", GgufType::kInt32, 4).put(1).put(2).put(3).put(-4);
  file.array("array.f32", GgufType::kFloat32, 2).put(1.5f).put(-2.5f);
  file.array("array.bool", GgufType::kBool, 2).put<uint8_t>(0).put<uint8_t>(1);
  file.array("array.string", GgufType::kString, 3).string("a").string("").string("ccc");
  file.array("array.u64", GgufType::kUint64, 1).put(UINT64_MAX);
  file.array("array.i64", GgufType::kInt64, 2).put(INT64_MIN).put(INT64_MAX);
  file.array("array.f64", GgufType::kFloat64, 1).put(0.125);
  file.array("array.empty", GgufType::kString, 0);
  file.tensor("token_embd.weight", {32, 4}, kGgmlQ8_0, 0);
  file.tensor("norm.weight", {8}, kGgmlF32, 192);
  file.tensor("cube.weight", {3, 2, 2, 2}, kGgmlF32, 256);
  return file.data(136, 64).data(32, 64).data(96, 64);
}

}  // namespace ruvllm::formats
