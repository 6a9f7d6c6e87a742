// safetensors files: whatever the bytes, parsing gives tensors that can all be read, or an error.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/core/check.h"
#include "formats/safetensors/safetensors.h"
#include "safetensors_mutator.h"

volatile unsigned g_sink;  // so that everything is read

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  return ruvllm::fuzz::mutate_safetensors(data, size, max_size, seed);
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
