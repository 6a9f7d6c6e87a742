#include "model/config.h"

#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace ruvllm::model {
namespace {

// Typed reads of "<architecture>.<key>" with ranges, so that every later product fits its type.
class Reader {
 public:
  Reader(const formats::GgufFile& file, std::string_view architecture)
      : file_(file), prefix_(fmt::format("{}.", architecture)) {}

  bool has(std::string_view key) const { return file_.has(prefix_ + std::string(key)); }

  Result<int32_t> integer(std::string_view key, int32_t min, int32_t max) const {
    const std::string full = prefix_ + std::string(key);
    RUVLLM_ASSIGN(const int64_t value, file_.get_int(full));
    if (value < min || value > max) {
      return fail(ErrorCode::kCorrupt, "{}: {} is {}; expected {} to {}", file_.path(), full, value,
                  min, max);
    }
    return static_cast<int32_t>(value);
  }
  Result<int32_t> integer_or(std::string_view key, int32_t fallback, int32_t min,
                             int32_t max) const {
    if (!has(key)) return fallback;
    return integer(key, min, max);
  }
  Result<double> positive(std::string_view key) const {
    const std::string full = prefix_ + std::string(key);
    RUVLLM_ASSIGN(const double value, file_.get_float(full));
    if (!(value > 0.0) || value > 1e12) {
      return fail(ErrorCode::kCorrupt, "{}: {} is {}; expected a positive number", file_.path(),
                  full, value);
    }
    return value;
  }
  Result<double> positive_or(std::string_view key, double fallback) const {
    if (!has(key)) return fallback;
    return positive(key);
  }
  Result<std::string> string_or(std::string_view key, std::string_view fallback) const {
    if (!has(key)) return std::string(fallback);
    RUVLLM_ASSIGN(const std::string_view value, file_.get_string(prefix_ + std::string(key)));
    return std::string(value);
  }

 private:
  const formats::GgufFile& file_;
  std::string prefix_;
};

constexpr int32_t kMaxLayers = 1024;
constexpr int32_t kMaxDim = 1 << 20;
constexpr int32_t kMaxHeads = 1024;
constexpr int32_t kMaxHeadDim = 256;
constexpr int32_t kMaxContext = 1 << 26;

Status read_heads(const Reader& reader, const std::string& path, ModelConfig& config) {
  RUVLLM_ASSIGN(config.num_heads, reader.integer("attention.head_count", 1, kMaxHeads));
  RUVLLM_ASSIGN(config.num_kv_heads,
                reader.integer_or("attention.head_count_kv", config.num_heads, 1, kMaxHeads));
  if (config.num_heads % config.num_kv_heads != 0) {
    return fail(ErrorCode::kCorrupt,
                "{}: {} query heads (attention.head_count) are not a multiple of {} KV heads "
                "(attention.head_count_kv)",
                path, config.num_heads, config.num_kv_heads);
  }
  const int32_t even_share = config.hidden_dim / config.num_heads;
  RUVLLM_ASSIGN(config.head_dim,
                reader.integer_or("attention.key_length", even_share, 1, kMaxHeadDim));
  RUVLLM_ASSIGN(const int32_t value_length,
                reader.integer_or("attention.value_length", config.head_dim, 1, kMaxHeadDim));
  if (value_length != config.head_dim) {
    return fail(ErrorCode::kUnsupported,
                "{}: value heads of {} (attention.value_length) beside key heads of {}", path,
                value_length, config.head_dim);
  }
  if (config.head_dim % 8 != 0 || config.head_dim == 0 || config.head_dim > kMaxHeadDim) {
    return fail(ErrorCode::kUnsupported,
                "{}: head dimension {} (attention.key_length, or embedding_length / "
                "attention.head_count); expected a multiple of 8 up to {}",
                path, config.head_dim, kMaxHeadDim);
  }
  return {};
}

Status read_rope(const Reader& reader, const std::string& path, ModelConfig& config) {
  RUVLLM_ASSIGN(config.rope_dim,
                reader.integer_or("rope.dimension_count", config.head_dim, 2, config.head_dim));
  if (config.rope_dim % 2 != 0) {
    return fail(ErrorCode::kCorrupt, "{}: rope.dimension_count {} is odd", path, config.rope_dim);
  }
  RUVLLM_ASSIGN(config.rope_base, reader.positive_or("rope.freq_base", 10000.0));
  RUVLLM_ASSIGN(const std::string scaling, reader.string_or("rope.scaling.type", "none"));
  if (scaling == "linear") {
    RUVLLM_ASSIGN(config.rope_linear_scale, reader.positive("rope.scaling.factor"));
  } else if (scaling != "none") {
    return fail(ErrorCode::kUnsupported,
                "{}: rope.scaling.type '{}' is not supported; supported are: none, linear", path,
                scaling);
  }
  return {};
}

}  // namespace

Result<ModelConfig> read_config(const formats::GgufFile& file, const Architecture& architecture) {
  const Reader reader(file, architecture.name);
  ModelConfig config;
  config.architecture = architecture.name;
  config.rope_style = architecture.rope_style;
  if (file.has("general.name")) {
    RUVLLM_ASSIGN(config.name, file.get_string("general.name"));
  }
  RUVLLM_ASSIGN(config.num_layers, reader.integer("block_count", 1, kMaxLayers));
  RUVLLM_ASSIGN(config.hidden_dim, reader.integer("embedding_length", 8, kMaxDim));
  RUVLLM_ASSIGN(config.ffn_dim, reader.integer("feed_forward_length", 8, kMaxDim));
  RUVLLM_ASSIGN(config.context_length, reader.integer("context_length", 1, kMaxContext));
  RUVLLM_TRY(read_heads(reader, file.path(), config));
  RUVLLM_TRY(read_rope(reader, file.path(), config));
  RUVLLM_ASSIGN(const double epsilon, reader.positive("attention.layer_norm_rms_epsilon"));
  config.norm_epsilon = static_cast<float>(epsilon);
  return config;
}

}  // namespace ruvllm::model
