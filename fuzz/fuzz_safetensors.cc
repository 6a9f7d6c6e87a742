// safetensors files: whatever the bytes, parsing gives tensors that can all be read, or an error.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "base/core/check.h"
#include "formats/safetensors/safetensors.h"

volatile unsigned g_sink;  // so that everything is read

// The header is JSON with offsets in it: mutations keep the length before it right most of the
// time, or nearly none would get past it.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  if (size < 8 || max_size < 16 || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  uint64_t length = 0;
  std::memcpy(&length, data, sizeof(length));
  const size_t after = size - 8;
  const size_t header = length < after ? static_cast<size_t>(length) : after;
  std::string tail(reinterpret_cast<const char*>(data) + 8 + header, after - header);
  const size_t room = max_size - 8 > tail.size() ? max_size - 8 - tail.size() : 0;
  if (room == 0) return LLVMFuzzerMutate(data, size, max_size);
  const uint64_t changed = LLVMFuzzerMutate(data + 8, header, room);
  std::memcpy(data, &changed, sizeof(changed));
  std::memcpy(data + 8 + changed, tail.data(), tail.size());
  return 8 + static_cast<size_t>(changed) + tail.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm::formats;
  const auto file =
      SafetensorsFile::parse(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
  if (!file.has_value()) {
    RUVLLM_CHECK(file.error().message().starts_with("fuzz.safetensors: "));
    RUVLLM_CHECK(file.error().message().size() < 4096);
    return 0;
  }
  unsigned sum = 0;
  for (const SafeTensor& tensor : file->tensors()) {
    RUVLLM_CHECK(file->find(tensor.name) == &tensor);
    uint64_t bytes = safe_type_bytes(tensor.type);
    for (const uint64_t dim : tensor.shape) bytes *= dim;
    RUVLLM_CHECK(bytes == tensor.data.size());
    for (const std::byte byte : tensor.data) sum += std::to_integer<unsigned>(byte);
  }
  g_sink = sum;
  return 0;
}
