// Whole models: config, vocabulary, tokenizer, chat template, tensors and one step of what loads.
//
// Whatever the bytes, each stage gives its error or a thing that works; the step may give logits
// that are not finite, as weights may be anything, but nothing else may go wrong.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/text/chat_encoder.h"
#include "api/text/vocab_loader.h"
#include "base/core/check.h"
#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "gguf_mutator.h"
#include "model/model.h"

namespace ruvllm {

volatile float g_sink;  // so that the logits are read

namespace {

const std::string kName = "fuzz.gguf";

void check_error(const Error& error) {
  RUVLLM_CHECK(error.message().find(kName) != std::string::npos);
  RUVLLM_CHECK(error.message().size() < 4096);
}

void use_tokenizer(const formats::GgufFile& file) {
  const auto tokenizer = api::load_tokenizer(file);
  if (!tokenizer) return check_error(tokenizer.error());
  for (const auto id : (*tokenizer)
                           ->encode("Hi \xF0\x9F\x98\x80 <|im_start|> 42",
                                    {.parse_special = true, .add_special = true})) {
    RUVLLM_CHECK(id >= 0 && static_cast<size_t>(id) < (*tokenizer)->vocab_size());
  }
  const auto chat = api::ChatEncoder::create(*tokenizer);
  RUVLLM_CHECK(chat.has_value());
  const std::vector<ChatMessage> messages = {{"user", "hello"}};
  if (const auto ids = (*chat)->encode(messages, {}); !ids) {
    RUVLLM_CHECK(!ids.error().message().empty());
  }
}

// A prompt of three tokens, the vocabulary's first and last among them.
void run_steps(const model::Model& model, device::CpuDevice& device) {
  const model::ModelConfig& config = model.config();
  auto pool = cache::KvCache::create(
      {.shape = {config.num_layers, config.num_kv_heads, config.head_dim}, .num_pages = 2});
  auto workspace = model::Workspace::create(device, config, model.weights(), {4, 2, 1, 64});
  if (!pool || !workspace) return;
  const uint32_t pages[] = {1, 0};
  const int32_t last = config.vocab_size - 1;
  const int32_t tokens[] = {0, last, last / 2}, positions[] = {0, 1, 2}, row_spans[] = {0, 0, 0};
  const int32_t logit_rows[] = {2};
  const ops::SpanView span{0, 3, 0, pages};
  model.step(device, **workspace, {3, tokens, positions, 1, &span, row_spans}, pool->view(),
             logit_rows);
  float sum = 0.0f;
  for (int32_t i = 0; i < config.vocab_size; ++i) sum += (*workspace)->logits[i];
  g_sink = sum;
}

}  // namespace
}  // namespace ruvllm

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  return ruvllm::fuzz::mutate_gguf(data, size, max_size, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm;
  static const auto device = device::CpuDevice::create(1, "").value();
  if (size == 0) return 0;
  // Aligned like a mapping, and so that reads beyond the end are seen.
  const std::unique_ptr<std::byte[], void (*)(std::byte*)> bytes(
      new (std::align_val_t{64}) std::byte[size],
      [](std::byte* block) { ::operator delete[](block, std::align_val_t{64}); });
  std::memcpy(bytes.get(), data, size);
  auto file = formats::GgufFile::parse({bytes.get(), size}, kName);
  if (!file) {
    check_error(file.error());
    return 0;
  }
  use_tokenizer(*file);
  const auto model = model::Model::load(std::move(*file), *device);
  if (model) {
    run_steps(**model, *device);
  } else {
    check_error(model.error());
  }
  return 0;
}
