// GGUF files: whatever the bytes, parsing returns a file whose every part can be read, or an error.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/core/check.h"
#include "formats/gguf/gguf.h"
#include "gguf_mutator.h"

volatile unsigned g_sink;  // so that everything is read

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  return ruvllm::fuzz::mutate_gguf(data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm::formats;
  const auto file = GgufFile::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!file.has_value()) {
    RUVLLM_CHECK(file.error().message().starts_with("fuzz.gguf: "));
    return 0;
  }
  unsigned sum = 0;
  for (const GgufTensor& tensor : file->tensors()) {
    RUVLLM_CHECK(file->find_tensor(tensor.name) == &tensor);
    const ruvllm::MatrixView matrix = tensor.matrix();
    RUVLLM_CHECK(matrix.row_stride * matrix.num_rows == tensor.data.size());
    for (const std::byte byte : tensor.data) sum += std::to_integer<unsigned>(byte);
  }
  for (const GgufEntry& entry : file->entries()) {
    RUVLLM_CHECK(file->find_entry(entry.key) == &entry);
    sum += static_cast<unsigned>(file->format_value(entry.key, 1000).size());
    sum += file->get_uint(entry.key).has_value() + file->get_int(entry.key).has_value();
    sum += file->get_float(entry.key).has_value() + file->get_bool(entry.key).has_value();
    sum += file->get_string(entry.key).has_value();
    sum += file->get_string_array(entry.key).has_value();
    sum += file->get_int_array(entry.key).has_value();
    sum += file->get_float_array(entry.key).has_value();
  }
  g_sink = sum;
  return 0;
}
