#include <algorithm>
#include <cstdio>

#include "api/engine/batching/choose_batch.h"
#include "api/engine/engine_impl.h"
#include "api/engine/kv_cache.h"
#include "api/models/checkpoint/open_model.h"
#include "base/memory/memory_map.h"
#include "base/system/clock.h"
#include "base/system/memory_info.h"
#include "cache/kv_cache.h"
#include "engine/loop/cache_plan.h"
#include "text/template/families/families.h"
#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

constexpr uint32_t kMaxSequences = 1024;
constexpr uint32_t kMaxBatchTokens = 8192;

Status check_options(const EngineOptions& options) {
  if (options.device != DeviceType::Cpu) {
    return fail(ErrorCode::kUnsupported, "this build runs on the CPU only; use --device cpu");
  }
  const uint32_t sequences =
      options.max_sequences != 0 ? options.max_sequences : options.batch.decode_batch;
  if (sequences > kMaxSequences) {
    return fail(ErrorCode::kInvalidArgument, "max_sequences is {}; expected at most {}", sequences,
                kMaxSequences);
  }
  if (options.max_batch_tokens < std::max(sequences, 1u) ||
      options.max_batch_tokens > kMaxBatchTokens) {
    return fail(ErrorCode::kInvalidArgument, "max_batch_tokens is {}; expected {} to {}",
                options.max_batch_tokens, std::max(sequences, 1u), kMaxBatchTokens);
  }
  if (const double gigabytes = options.batch_memory_gb.value_or(0.0);
      !(gigabytes >= 0.0 && gigabytes <= 1e6)) {
    return fail(ErrorCode::kInvalidArgument, "batch_memory_gb is {}; expected 0 to 1,000,000",
                gigabytes);
  }
  return {};
}

uint64_t token_cache_bytes(const model::ModelConfig& config, kernels::KvStoreFormat store) {
  const cache::PageShape shape = engine::page_shape(config);
  const uint64_t page_bytes =
      store == kernels::KvStoreFormat::kF16 ? shape.bytes() : shape.stored_bytes(store);
  return page_bytes / kernels::kPageTokens;
}

// The context asked for, or the model's own (at most the cache's max_tokens) as far as half of the
// available memory goes.
Result<uint32_t> choose_context(const EngineOptions& options, uint64_t available,
                                const model::ModelConfig& config, kernels::KvStoreFormat store,
                                const model::Model* draft_model) {
  const uint32_t trained = static_cast<uint32_t>(config.context_length);
  if (options.context_length > trained) {
    return fail(ErrorCode::kInvalidArgument,
                "a context of {} tokens was asked for, but the model was trained for {}",
                options.context_length, trained);
  }
  if (options.context_length != 0) return options.context_length;
  uint64_t token_bytes = std::max<uint64_t>(token_cache_bytes(config, store), 1);
  if (draft_model != nullptr) {
    token_bytes += token_cache_bytes(draft_model->config(), kernels::KvStoreFormat::kF16);
  }
  const uint64_t budget = options.max_cache_bytes != 0
                              ? options.max_cache_bytes
                              : available / 2 / api::expected_sequences(options, available);
  const uint64_t affordable = budget / token_bytes / 32 * 32;
  constexpr uint64_t kSmallest = 512;
  const uint32_t wanted =
      options.kv_cache.max_tokens == 0 ? trained : std::min(trained, options.kv_cache.max_tokens);
  return static_cast<uint32_t>(std::min<uint64_t>(wanted, std::max(affordable, kSmallest)));
}

// Tokens that the cache holds; 0: full contexts of all sequences.
uint64_t choose_cache_tokens(const EngineOptions& options, uint64_t available,
                             uint32_t max_sequences, const model::ModelConfig& config,
                             kernels::KvStoreFormat store, uint32_t context_length) {
  const uint64_t budget = options.max_cache_bytes != 0 ? options.max_cache_bytes : available / 2;
  const uint64_t tokens = budget / std::max<uint64_t>(token_cache_bytes(config, store), 1);
  const uint64_t all = uint64_t{context_length} * max_sequences;
  // Without a word from the caller one context fits in any case, as far as memory goes.
  const uint64_t least = options.max_cache_bytes != 0 ? kernels::kPageTokens : context_length;
  return tokens >= all ? 0 : std::max(tokens / kernels::kPageTokens * kernels::kPageTokens, least);
}

Status check_vocabulary(const model::Model& model, const text::Tokenizer& tokenizer) {
  const size_t rows = static_cast<size_t>(model.config().vocab_size);
  if (tokenizer.vocab_size() <= rows) return {};
  return fail(ErrorCode::kCorrupt,
              "{}: the vocabulary has {} tokens, but token_embd.weight {} rows",
              model.file().path(), tokenizer.vocab_size(), rows);
}

}  // namespace

uint64_t packed_room(const EngineOptions& options) {
  return options.max_packed_bytes != 0 ? options.max_packed_bytes : memory_info().budget / 2;
}

model::ModelOptions model_options(const EngineOptions& options) {
  model::ModelOptions out;
  switch (options.weights) {
    case WeightForm::kAuto:
      out.weight_form = model::WeightForm::kBackground;
      break;
    case WeightForm::kMapped:
      out.weight_form = model::WeightForm::kMapped;
      break;
    case WeightForm::kPacked:
      out.weight_form = model::WeightForm::kPacked;
      break;
  }
  out.max_packed_bytes = packed_room(options);
  return out;
}

uint64_t heap_growth(uint64_t before) {
  const uint64_t now = heap_use().in_use;
  return now > before ? now - before : 0;
}

EngineInfo Engine::Impl::describe(double load_ms) const {
  const model::ModelConfig& config = model->config();
  EngineInfo described;
  described.model_name = config.name;
  described.architecture = config.architecture;
  described.device = "cpu";
  described.isa = device->isa();
  described.num_threads = device->team().num_threads();
  described.context_length = loop->options().context_length;
  described.max_sequences = loop->options().max_sequences;
  described.model_context_length = static_cast<uint32_t>(config.context_length);
  described.vocab_size = static_cast<uint32_t>(config.vocab_size);
  described.embedding_length = static_cast<uint32_t>(config.hidden_dim);
  described.generates_text = config.generates_text();
  if (draft_model != nullptr) described.draft_model_name = draft_model->config().name;
  described.num_parameters = model->num_parameters();
  described.load_ms = load_ms;
  described.chat_template_source = chat->source_name();
  described.chat_template_name = chat->family();
  described.has_chat_template = described.chat_template_source != "default";
  return described;
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(const EngineOptions& options) {
  const uint64_t begin = monotonic_us();
  RUVLLM_TRY(check_options(options));
  const uint64_t available = api::batch_memory(options);
  auto impl = std::make_unique<Impl>();
  RUVLLM_ASSIGN(impl->device, device::CpuDevice::create(options.num_threads, options.cpu_isa));
  RUVLLM_ASSIGN(api::OpenedModel opened,
                api::open_model(options.model_path, api::OpenScope::kWeights));
  const uint64_t heap_before = heap_use().in_use;
  RUVLLM_ASSIGN(impl->text_tokenizer, api::load_tokenizer(opened));
  impl->tokenizer_bytes = heap_growth(heap_before);
  RUVLLM_ASSIGN(impl->model,
                model::Model::load(std::move(opened.file), *impl->device, model_options(options)));
  RUVLLM_TRY(check_vocabulary(*impl->model, *impl->text_tokenizer));
  impl->tokenizer = std::make_unique<Tokenizer>(impl->text_tokenizer);
  const model::ModelConfig& config = impl->model->config();
  const uint64_t heap_before_chat = heap_use().in_use;
  RUVLLM_ASSIGN(impl->chat, api::ChatEncoder::create(impl->text_tokenizer,
                                                     {.architecture = config.architecture,
                                                      .model_name = config.name,
                                                      .chat_template = options.chat_template}));
  impl->tokenizer_bytes += heap_growth(heap_before_chat);
  RUVLLM_TRY(impl->load_default_adapters(options.adapters));
  RUVLLM_TRY(impl->load_draft_model(options));
  engine::StepLoopOptions loop_options;
  RUVLLM_ASSIGN(const api::KvStoreOptions store, api::kv_store_options(options.kv_cache));
  loop_options.kv_store = store.format;
  loop_options.kv_tiers = store.tiers;
  const uint64_t left = memory_info().budget;  // beside the model
  RUVLLM_ASSIGN(loop_options.context_length,
                choose_context(options, std::min(available, left), config, store.format,
                               impl->draft_model.get()));
  RUVLLM_ASSIGN(const api::ChosenBatch batch,
                api::choose_batch(options, available,
                                  {*impl->device, impl->device->team().num_threads(), *impl->model,
                                   impl->draft_model.get(), store, loop_options.context_length,
                                   impl->default_adapter_bytes()}));
  loop_options.max_sequences = batch.max_sequences;
  loop_options.max_prefill_sequences = batch.config.prefill_batch;
  loop_options.max_decode_rows = batch.config.decode_batch;
  loop_options.max_adapters = batch.config.lora_batch;
  loop_options.max_step_us = uint64_t{options.max_step_ms} * 1000;
  loop_options.cache_tokens = choose_cache_tokens(options, left, batch.max_sequences, config,
                                                  store.format, loop_options.context_length);
  loop_options.max_batch_tokens = options.max_batch_tokens;
  loop_options.speculation = impl->speculation(options);
  if (!config.causal) {  // a text runs in one step, and all of it reads all of it
    loop_options.kv_store = kernels::KvStoreFormat::kF16;
    loop_options.max_batch_tokens =
        std::max(loop_options.max_batch_tokens, loop_options.context_length);
  }
  RUVLLM_ASSIGN(impl->loop, engine::StepLoop::create(*impl->model, *impl->device, loop_options));
  impl->info = impl->describe(static_cast<double>(monotonic_us() - begin) / 1000.0);
  impl->info.batch = batch.config;
  impl->info.batch_reason = batch.reason;
  impl->info.speculation = config.causal ? options.speculation : Speculation::kOff;
  RUVLLM_TRY(impl->restore_cache(options));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

const EngineInfo& Engine::info() const { return impl_->info; }
const Tokenizer& Engine::tokenizer() const { return *impl_->tokenizer; }

Result<std::string> Engine::apply_chat_template(std::span<const ChatMessage> messages,
                                                const ChatTemplateOptions& options) const {
  return impl_->chat->render(messages, options);
}

Result<std::string> Engine::apply_chat_template(std::span<const ChatMessage> messages,
                                                bool add_generation_prompt) const {
  return apply_chat_template(messages, {.add_generation_prompt = add_generation_prompt});
}

Result<std::vector<TokenId>> Engine::encode_chat(std::span<const ChatMessage> messages,
                                                 const ChatTemplateOptions& options) const {
  return impl_->chat->encode(messages, options);
}

Result<std::vector<TokenId>> Engine::encode_chat(std::span<const ChatMessage> messages,
                                                 bool add_generation_prompt) const {
  return encode_chat(messages, {.add_generation_prompt = add_generation_prompt});
}

std::vector<std::string> chat_template_families() {
  std::vector<std::string> names;
  for (const text::TemplateFamily& family : text::template_families()) {
    names.emplace_back(family.name);
  }
  return names;
}

}  // namespace ruvllm
