// Hugging Face PEFT (https://huggingface.co/docs/peft): adapter_config.json and
// "base_model.model.model.layers.N.self_attn.q_proj.lora_A.weight" [rank, in], lora_B [out, rank].
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "adapters/files/formats.h"
#include "adapters/files/peft_modules.h"
#include "adapters/files/values.h"

namespace ruvllm::adapters {
namespace {

using formats::JsonFields;
using formats::SafeTensor;
using nlohmann::json;
using ops::LoraTarget;

struct Config {
  double alpha = 0.0;
  bool rank_stabilized = false;            // rsLoRA: alpha / sqrt(rank)
  std::map<std::string, double> alpha_of;  // by module name or its end
};

std::unexpected<Error> unsupported(const JsonFields& fields, std::string_view field,
                                   std::string_view what) {
  return fail(ErrorCode::kUnsupported,
              "{}: field '{}': {} is not supported; merge the adapter with PEFT "
              "(merge_and_unload) and convert the result",
              fields.file(), field, what);
}

bool is_set(const JsonFields& fields, std::string_view name) {
  if (!fields.has(name)) return false;
  const json& value = fields.values().at(std::string(name));
  return !(value.is_array() || value.is_object()) || !value.empty();
}

// PEFT takes these keys for regular expressions; whole names and their ends are what occurs.
Status read_alpha_pattern(const JsonFields& fields, Config& config) {
  RUVLLM_ASSIGN(const JsonFields pattern, fields.section("alpha_pattern"));
  for (const auto& [key, value] : pattern.values().items()) {
    if (key.find_first_of("^$*+?()[]{}|\\") != std::string::npos) {
      return unsupported(fields, "alpha_pattern", "a regular expression");
    }
    RUVLLM_ASSIGN(config.alpha_of[key], pattern.number(key));
  }
  return {};
}

Result<Config> parse_config(const JsonFields& fields) {
  Config config;
  RUVLLM_ASSIGN(const std::string kind, fields.string_or("peft_type", ""));
  if (kind != "LORA") return unsupported(fields, "peft_type", "anything but LORA");
  RUVLLM_ASSIGN(config.alpha, fields.number("lora_alpha"));
  RUVLLM_ASSIGN(config.rank_stabilized, fields.boolean_or("use_rslora", false));
  RUVLLM_ASSIGN(const bool dora, fields.boolean_or("use_dora", false));
  if (dora) return unsupported(fields, "use_dora", "DoRA");
  RUVLLM_ASSIGN(const bool transposed, fields.boolean_or("fan_in_fan_out", false));
  if (transposed) return unsupported(fields, "fan_in_fan_out", "a transposed weight");
  if (is_set(fields, "modules_to_save")) {
    return unsupported(fields, "modules_to_save", "a module saved whole");
  }
  RUVLLM_ASSIGN(const std::string bias, fields.string_or("bias", "none"));
  if (bias != "none") return unsupported(fields, "bias", "a trained bias");
  RUVLLM_TRY(read_alpha_pattern(fields, config));
  return config;
}

float scale_of(const Config& config, std::string_view module, uint64_t rank) {
  double alpha = config.alpha;
  for (const auto& [key, value] : config.alpha_of) {
    const bool whole = module == key;
    const bool end = module.ends_with("." + key);
    if (whole || end) alpha = value;
  }
  const double divisor = static_cast<double>(rank);
  return static_cast<float>(alpha / (config.rank_stabilized ? std::sqrt(divisor) : divisor));
}

// "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight" in its parts.
struct TensorName {
  int32_t layer_idx = 0;
  std::string_view module;
  char factor = 'A';
};

std::optional<TensorName> split_name(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  const size_t layers = name.find(kLayers);
  if (layers == std::string_view::npos || (layers != 0 && name[layers - 1] != '.')) return {};
  name.remove_prefix(layers + kLayers.size());
  TensorName parts;
  const auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), parts.layer_idx);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return {};
  name.remove_prefix(static_cast<size_t>(end - name.data()) + 1);
  for (const char factor : {'A', 'B'}) {
    const std::string marker = std::string(".lora_") + factor + ".";
    const size_t at = name.find(marker);
    if (at == std::string_view::npos || !name.ends_with("weight")) continue;
    parts.module = name.substr(0, at);
    parts.factor = factor;
    return parts;
  }
  return {};
}

// One pair becomes the matrices of each product that the module holds.
Status add_matrices(const PeftModule& module, const FactorPair& pair, float scale,
                    const BaseShape& base, const std::string& path,
                    std::vector<Adapter::Matrices>& out) {
  uint64_t rows = 0;
  for (size_t i = 0; i < module.num_targets; ++i) {
    rows += static_cast<uint64_t>(base.out_dim(module.targets[i]));
  }
  if (rows != pair.out_dim) {
    return fail(ErrorCode::kInvalidArgument,
                "{}: {}: lora_B has {} rows, the model's weight {}; the adapter was made for "
                "another model",
                path, pair.weight, pair.out_dim, rows);
  }
  size_t first = 0;
  for (size_t i = 0; i < module.num_targets; ++i) {
    const LoraTarget target = module.targets[i];
    const size_t count = static_cast<size_t>(base.out_dim(target)) * pair.rank;
    Adapter::Matrices matrices{pair.layer_idx,
                               target,
                               static_cast<int32_t>(pair.rank),
                               scale,
                               pair.a,
                               {pair.b.begin() + static_cast<ptrdiff_t>(first),
                                pair.b.begin() + static_cast<ptrdiff_t>(first + count)}};
    const bool rotated = target == LoraTarget::kQ || target == LoraTarget::kK;
    if (rotated && base.interleaved_rope) {
      matrices.b = interleaved_rows(matrices.b, pair.rank, static_cast<size_t>(base.head_dim));
    }
    out.push_back(std::move(matrices));
    first += count;
  }
  return {};
}

}  // namespace

Result<std::vector<Adapter::Matrices>> read_peft(const JsonFields& config_fields,
                                                 const formats::SafetensorsFile& file,
                                                 const BaseShape& base) {
  RUVLLM_ASSIGN(const Config config, parse_config(config_fields));
  PairCollector collector(file.path());
  for (const SafeTensor& tensor : file.tensors()) {
    const std::optional<TensorName> name = split_name(tensor.name);
    if (!name || find_peft_module(name->module) == nullptr) {
      return fail(ErrorCode::kUnsupported,
                  "{}: tensor {}: only attention and feed-forward products of layers can carry "
                  "an adapter; merge it with PEFT (merge_and_unload) and convert the result",
                  file.path(), tensor.name);
    }
    if (tensor.shape.size() != 2) {
      return fail(ErrorCode::kCorrupt, "{}: tensor {} has the shape {}; expected a matrix",
                  file.path(), tensor.name, formats::shape_text(tensor.shape));
    }
    RUVLLM_ASSIGN(std::vector<float> values, safe_tensor_values(tensor, file.path()));
    RUVLLM_TRY(collector.add(name->layer_idx, name->module, name->factor == 'A',
                             {tensor.shape[0], tensor.shape[1], std::move(values)}));
  }
  RUVLLM_ASSIGN(const std::vector<FactorPair> pairs, std::move(collector).finish());
  std::vector<Adapter::Matrices> matrices;
  for (const FactorPair& pair : pairs) {
    RUVLLM_TRY(add_matrices(*find_peft_module(pair.weight), pair,
                            scale_of(config, pair.weight, pair.rank), base, file.path(), matrices));
  }
  return matrices;
}

}  // namespace ruvllm::adapters
