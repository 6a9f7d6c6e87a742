#include "api/models/synth/shapes.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/core/check.h"

namespace ruvllm::api {
namespace {

// From the models' config.json; the Qwen2.5 ones are those of the instruction-tuned models.
constexpr SynthShape kShapes[] = {
    {.name = "demo",
     .architecture = "qwen2",
     .num_layers = 8,
     .hidden_dim = 512,
     .num_heads = 8,
     .num_kv_heads = 2,
     .head_dim = 64,
     .ffn_dim = 1536,
     .vocab_size = 8192,
     .context_length = 2048,
     .rope_base = 1e5f,
     .norm_epsilon = 1e-6f,
     .tied = true,
     .llama3_rope_factor = 0.0f},
    {.name = "qwen2.5-0.5b",
     .architecture = "qwen2",
     .num_layers = 24,
     .hidden_dim = 896,
     .num_heads = 14,
     .num_kv_heads = 2,
     .head_dim = 64,
     .ffn_dim = 4864,
     .vocab_size = 151936,
     .context_length = 32768,
     .rope_base = 1e6f,
     .norm_epsilon = 1e-6f,
     .tied = true,
     .llama3_rope_factor = 0.0f},
    {.name = "qwen2.5-1.5b",
     .architecture = "qwen2",
     .num_layers = 28,
     .hidden_dim = 1536,
     .num_heads = 12,
     .num_kv_heads = 2,
     .head_dim = 128,
     .ffn_dim = 8960,
     .vocab_size = 151936,
     .context_length = 32768,
     .rope_base = 1e6f,
     .norm_epsilon = 1e-6f,
     .tied = true,
     .llama3_rope_factor = 0.0f},
    {.name = "qwen2.5-3b",
     .architecture = "qwen2",
     .num_layers = 36,
     .hidden_dim = 2048,
     .num_heads = 16,
     .num_kv_heads = 2,
     .head_dim = 128,
     .ffn_dim = 11008,
     .vocab_size = 151936,
     .context_length = 32768,
     .rope_base = 1e6f,
     .norm_epsilon = 1e-6f,
     .tied = true,
     .llama3_rope_factor = 0.0f},
    {.name = "qwen2.5-7b",
     .architecture = "qwen2",
     .num_layers = 28,
     .hidden_dim = 3584,
     .num_heads = 28,
     .num_kv_heads = 4,
     .head_dim = 128,
     .ffn_dim = 18944,
     .vocab_size = 152064,
     .context_length = 32768,
     .rope_base = 1e6f,
     .norm_epsilon = 1e-6f,
     .tied = false,
     .llama3_rope_factor = 0.0f},
    {.name = "llama-3.2-1b",
     .architecture = "llama",
     .num_layers = 16,
     .hidden_dim = 2048,
     .num_heads = 32,
     .num_kv_heads = 8,
     .head_dim = 64,
     .ffn_dim = 8192,
     .vocab_size = 128256,
     .context_length = 131072,
     .rope_base = 5e5f,
     .norm_epsilon = 1e-5f,
     .tied = true,
     .llama3_rope_factor = 32.0f},
    {.name = "llama-3.2-3b",
     .architecture = "llama",
     .num_layers = 28,
     .hidden_dim = 3072,
     .num_heads = 24,
     .num_kv_heads = 8,
     .head_dim = 128,
     .ffn_dim = 8192,
     .vocab_size = 128256,
     .context_length = 131072,
     .rope_base = 5e5f,
     .norm_epsilon = 1e-5f,
     .tied = true,
     .llama3_rope_factor = 32.0f},
    {.name = "llama-3.1-8b",
     .architecture = "llama",
     .num_layers = 32,
     .hidden_dim = 4096,
     .num_heads = 32,
     .num_kv_heads = 8,
     .head_dim = 128,
     .ffn_dim = 14336,
     .vocab_size = 128256,
     .context_length = 131072,
     .rope_base = 5e5f,
     .norm_epsilon = 1e-5f,
     .tied = false,
     .llama3_rope_factor = 8.0f},
    {.name = "qwen3-0.6b",
     .architecture = "qwen3",
     .num_layers = 28,
     .hidden_dim = 1024,
     .num_heads = 16,
     .num_kv_heads = 8,
     .head_dim = 128,
     .ffn_dim = 3072,
     .vocab_size = 151936,
     .context_length = 40960,
     .rope_base = 1e6f,
     .norm_epsilon = 1e-6f,
     .tied = true,
     .llama3_rope_factor = 0.0f},
    {.name = "gemma3-1b",
     .architecture = "gemma3",
     .num_layers = 26,
     .hidden_dim = 1152,
     .num_heads = 4,
     .num_kv_heads = 1,
     .head_dim = 256,
     .ffn_dim = 6912,
     .vocab_size = 262144,
     .context_length = 32768,
     .rope_base = 1e6f,
     .norm_epsilon = 1e-6f,
     .tied = true,
     .llama3_rope_factor = 0.0f,
     .window = 512,
     .local_rope_base = 1e4f},
    {.name = "smollm3-3b",
     .architecture = "smollm3",
     .num_layers = 36,
     .hidden_dim = 2048,
     .num_heads = 16,
     .num_kv_heads = 4,
     .head_dim = 128,
     .ffn_dim = 11008,
     .vocab_size = 128256,
     .context_length = 65536,
     .rope_base = 5e6f,
     .norm_epsilon = 1e-6f,
     .tied = true,
     .llama3_rope_factor = 0.0f},
    {.name = "olmo2-1b",
     .architecture = "olmo2",
     .num_layers = 16,
     .hidden_dim = 2048,
     .num_heads = 16,
     .num_kv_heads = 16,
     .head_dim = 128,
     .ffn_dim = 8192,
     .vocab_size = 100352,
     .context_length = 4096,
     .rope_base = 5e5f,
     .norm_epsilon = 1e-6f,
     .tied = false,
     .llama3_rope_factor = 0.0f},
    {.name = "granite-3.3-2b",
     .architecture = "granite",
     .num_layers = 40,
     .hidden_dim = 2048,
     .num_heads = 32,
     .num_kv_heads = 8,
     .head_dim = 64,
     .ffn_dim = 8192,
     .vocab_size = 49159,
     .context_length = 131072,
     .rope_base = 1e7f,
     .norm_epsilon = 1e-5f,
     .tied = true,
     .llama3_rope_factor = 0.0f,
     .attention_scale = 0.015625f,
     .embedding_scale = 12.0f,
     .residual_scale = 0.22f,
     .logit_scale = 8.0f},
};

}  // namespace

std::span<const SynthShape> all_synth_shapes() { return kShapes; }

Result<const SynthShape*> find_synth_shape(std::string_view name) {
  std::vector<std::string_view> names;
  for (const SynthShape& shape : kShapes) {
    if (shape.name == name) return &shape;
    names.push_back(shape.name);
  }
  return fail(ErrorCode::kNotFound, "no model shape is called '{}'; known are: {}", name,
              fmt::join(names, ", "));
}

const model::Architecture& SynthShape::family() const {
  const model::Architecture* found = model::architecture_of_name(architecture);
  RUVLLM_CHECK(found != nullptr);
  return *found;
}

void add_shape_metadata(formats::GgufWriter& writer, const SynthShape& shape, uint32_t file_type) {
  const auto key = [&](std::string_view part) {
    return fmt::format("{}.{}", shape.architecture, part);
  };
  writer.add_string("general.architecture", shape.architecture);
  writer.add_string("general.type", "model");
  writer.add_string("general.name", fmt::format("{} with random weights", shape.name));
  writer.add_uint32("general.file_type", file_type);
  writer.add_uint32("general.quantization_version", 2);
  writer.add_uint32(key("block_count"), shape.num_layers);
  writer.add_uint32(key("context_length"), shape.context_length);
  writer.add_uint32(key("embedding_length"), shape.hidden_dim);
  writer.add_uint32(key("feed_forward_length"), shape.ffn_dim);
  writer.add_uint32(key("attention.head_count"), shape.num_heads);
  writer.add_uint32(key("attention.head_count_kv"), shape.num_kv_heads);
  writer.add_float32(key("attention.layer_norm_rms_epsilon"), shape.norm_epsilon);
  writer.add_float32(key("rope.freq_base"), shape.rope_base);
  if (shape.window > 0) writer.add_uint32(key("attention.sliding_window"), shape.window);
  const auto add_real = [&](std::string_view part, float value) {
    if (value > 0.0f) writer.add_float32(key(part), value);
  };
  add_real("rope.freq_base_swa", shape.local_rope_base);
  add_real("attention.scale", shape.attention_scale);
  add_real("embedding_scale", shape.embedding_scale);
  add_real("residual_scale", shape.residual_scale);
  add_real("logit_scale", shape.logit_scale);
  if (shape.architecture != "qwen2") {
    writer.add_uint32(key("attention.key_length"), shape.head_dim);
    writer.add_uint32(key("attention.value_length"), shape.head_dim);
    writer.add_uint32(key("rope.dimension_count"), shape.head_dim);
    writer.add_uint32(key("vocab_size"), shape.vocab_size);
  }
}

}  // namespace ruvllm::api
