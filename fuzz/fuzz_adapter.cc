// Adapters: a GGUF file, or adapter_config.json, a zero byte and adapter_model.safetensors.
// Whatever the bytes, reading gives an adapter that fits the model, or an error.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/files/formats.h"
#include "adapters/test_adapters.h"
#include "base/core/check.h"
#include "formats/json/json_document.h"
#include "gguf_mutator.h"
#include "safetensors_mutator.h"

namespace ruvllm {
namespace {

using adapters::Adapter;
using Matrices = std::vector<Adapter::Matrices>;

bool is_gguf(const uint8_t* data, size_t size) {
  return size >= 4 && std::memcmp(data, "GGUF", 4) == 0;
}

size_t config_size(const uint8_t* data, size_t size) {
  const void* end = size == 0 ? nullptr : std::memchr(data, 0, size);
  return end == nullptr ? size : static_cast<size_t>(static_cast<const uint8_t*>(end) - data);
}

Result<Matrices> read_gguf(std::span<const std::byte> bytes, const adapters::BaseShape& base) {
  RUVLLM_ASSIGN(const formats::GgufFile file, formats::GgufFile::parse(bytes, "fuzz.gguf"));
  return adapters::read_gguf_adapter(file, base);
}

Result<Matrices> read_peft(std::string_view text, std::span<const std::byte> weights,
                           const adapters::BaseShape& base) {
  RUVLLM_ASSIGN(nlohmann::json values, formats::parse_json_document(text, "fuzz.json"));
  RUVLLM_ASSIGN(const formats::JsonFields config,
                formats::JsonFields::of(std::move(values), "fuzz.json", "another"));
  RUVLLM_ASSIGN(const formats::SafetensorsFile file,
                formats::SafetensorsFile::parse(weights, "fuzz.safetensors"));
  return adapters::read_peft(config, file, base);
}

void check_error(const Error& error) {
  RUVLLM_CHECK(error.message().find("fuzz") != std::string::npos);
  RUVLLM_CHECK(error.message().size() < 4096);
}

// Matrices that were read become an adapter of the right sizes, or are refused as a whole.
void check_adapter(Result<Matrices> matrices, const adapters::BaseShape& base) {
  if (!matrices) return check_error(matrices.error());
  const auto adapter = Adapter::create("fuzz", base, std::move(*matrices));
  if (!adapter) return check_error(adapter.error());
  for (const Adapter::Factors& factors : (*adapter)->factors()) {
    const Adapter::Matrices part = (*adapter)->matrices(factors);
    RUVLLM_CHECK(part.layer_idx >= 0 && part.layer_idx < base.num_layers && part.rank > 0);
    const auto rank = static_cast<size_t>(part.rank);
    RUVLLM_CHECK(part.a.size() == rank * static_cast<size_t>(base.in_dim(part.target)));
    RUVLLM_CHECK(part.b.size() == rank * static_cast<size_t>(base.out_dim(part.target)));
  }
}

}  // namespace
}  // namespace ruvllm

// The configuration now and then, mostly the weights behind it.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  using namespace ruvllm;
  if (is_gguf(data, size)) return fuzz::mutate_gguf(data, size, max_size, seed);
  const size_t begin = config_size(data, size) + 1;
  if (begin >= size || seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  return begin + fuzz::mutate_safetensors(data + begin, size - begin, max_size - begin, seed / 4);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm;
  const auto bytes = std::as_bytes(std::span(data, size));
  adapters::BaseShape base = adapters::small_shape();
  if (is_gguf(data, size)) {
    check_adapter(read_gguf(bytes, base), base);
    return 0;
  }
  const size_t config_bytes = config_size(data, size);
  const std::string_view text(reinterpret_cast<const char*>(data), config_bytes);
  const auto weights = bytes.subspan(config_bytes + (config_bytes < size ? 1 : 0));
  for (const bool interleaved : {false, true}) {
    base.interleaved_rope = interleaved;
    check_adapter(read_peft(text, weights, base), base);
  }
  return 0;
}
