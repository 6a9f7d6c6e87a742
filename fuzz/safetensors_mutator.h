// Mutates safetensors files for libFuzzer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace ruvllm::fuzz {

// The header is JSON with offsets in it: mutations keep the length before it right most of the
// time, or nearly none would get past it.
inline size_t mutate_safetensors(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
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

}  // namespace ruvllm::fuzz
