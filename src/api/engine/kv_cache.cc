#include "api/engine/kv_cache.h"

#include "cache/kv_cache.h"
#include "kernels/cpu/attention.h"

namespace ruvllm {
namespace {

using kernels::KvStoreFormat;

Result<KvStoreFormat> store_format(Precision precision) {
  switch (precision) {
    case Precision::FP16:
      return KvStoreFormat::kF16;
    case Precision::Q8:
      return KvStoreFormat::kQ8;
    case Precision::Q4:
      return KvStoreFormat::kQ4;
    case Precision::K8V4:
      return KvStoreFormat::kK8V4;
    case Precision::Q3:
      return KvStoreFormat::kQ3;
    case Precision::Q2:
      return KvStoreFormat::kQ2;
    case Precision::FP32:
    case Precision::Q4K:
      break;
  }
  return fail(ErrorCode::kInvalidArgument,
              "store_precision: keys and values are stored as FP16, Q8, Q4, K8V4, Q3 or Q2");
}

constexpr uint32_t kMaxTail = 1u << 24;

}  // namespace

Result<api::KvStoreOptions> api::kv_store_options(const KvCacheConfig& config) {
  constexpr uint32_t kPage = kernels::kPageTokens;
  if (config.tail_precision != Precision::FP16) {
    return fail(ErrorCode::kUnsupported, "tail_precision: the tail is kept in FP16");
  }
  if (config.tail_length > kMaxTail) {
    return fail(ErrorCode::kInvalidArgument, "tail_length is {}; expected at most {}",
                config.tail_length, kMaxTail);
  }
  if (config.migration_batch == 0 || config.migration_batch % kPage != 0 ||
      config.migration_batch > kMaxTail) {
    return fail(
        ErrorCode::kInvalidArgument,
        "migration_batch is {}; expected a multiple of {}, the tokens of a page, at most {}",
        config.migration_batch, kPage, kMaxTail);
  }
  KvStoreOptions options;
  RUVLLM_ASSIGN(options.format, store_format(config.store_precision));
  options.tiers = {.tail_tokens = static_cast<int32_t>(config.tail_length),
                   .batch_tokens = static_cast<int32_t>(config.migration_batch)};
  return options;
}

uint64_t api::sequence_bytes(const cache::PageShape& shape, const KvStoreOptions& options,
                             uint32_t num_tokens) {
  const uint64_t pages = cache::pages_for_tokens(num_tokens);
  if (options.format == kernels::KvStoreFormat::kF16) return pages * shape.bytes();
  const uint64_t stored =
      static_cast<uint64_t>(options.tiers.stored_pages(static_cast<int32_t>(num_tokens) - 1)) -
      ops::KvTiers::kFirstStoredPage;
  return (pages - stored) * shape.bytes() + stored * shape.stored_bytes(options.format);
}

uint64_t KvCacheConfig::bytes() const {
  const Result<api::KvStoreOptions> options = api::kv_store_options(*this);
  if (!options || max_tokens == 0) return 0;
  const cache::PageShape shape{static_cast<int32_t>(num_layers), static_cast<int32_t>(num_kv_heads),
                               static_cast<int32_t>(head_dim)};
  return api::sequence_bytes(shape, *options, max_tokens);
}

const std::vector<KvCachePreset>& kv_cache_presets() {
  static const std::vector<KvCachePreset> presets = [] {
    const auto preset = [](std::string_view name, uint32_t tail, Precision store, uint32_t tokens) {
      KvCachePreset out{name, {}};
      out.config.tail_length = tail;
      out.config.store_precision = store;
      out.config.max_tokens = tokens;
      return out;
    };
    return std::vector<KvCachePreset>{preset("chat-short", 128, Precision::Q8, 2048),
                                      preset("chat-long", 256, Precision::Q4, 8192),
                                      preset("document-qa", 512, Precision::Q4, 16384),
                                      preset("code-completion", 128, Precision::Q8, 4096)};
  }();
  return presets;
}

}  // namespace ruvllm
