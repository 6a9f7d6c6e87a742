#include "adapters/files/peft_writer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "adapters/files/peft_modules.h"
#include "formats/io/output_file.h"
#include "formats/safetensors/safetensors_writer.h"

namespace ruvllm::adapters {
namespace {

namespace fs = std::filesystem;
using formats::SafeTensor;
using formats::SafeType;
using ops::LoraTarget;

// "q_proj" of "self_attn.q_proj".
std::string_view last_name(std::string_view module) { return module.substr(module.rfind('.') + 1); }

nlohmann::ordered_json config_of(std::span<const Adapter::Matrices> matrices,
                                 const std::string& base_model) {
  const Adapter::Matrices& first = matrices.front();
  const double alpha = static_cast<double>(first.scale) * first.rank;
  std::set<std::string_view> modules;
  for (const Adapter::Matrices& each : matrices) {
    modules.insert(last_name(peft_module_of(each.target).name));
  }
  nlohmann::ordered_json config;
  config["peft_type"] = "LORA";
  config["task_type"] = "CAUSAL_LM";
  config["base_model_name_or_path"] = base_model;
  config["r"] = first.rank;
  if (alpha == std::floor(alpha)) {  // PEFT's own is an integer
    config["lora_alpha"] = static_cast<int64_t>(alpha);
  } else {
    config["lora_alpha"] = alpha;
  }
  config["lora_dropout"] = 0.0;
  config["target_modules"] = modules;
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["init_lora_weights"] = true;
  config["inference_mode"] = true;
  config["modules_to_save"] = nullptr;
  config["use_rslora"] = false;
  config["use_dora"] = false;
  return config;
}

Status write_weights(const std::string& path, const BaseShape& base,
                     std::span<const Adapter::Matrices> matrices) {
  std::vector<std::vector<float>> turned(matrices.size());  // B in Hugging Face's order of rows
  std::vector<SafeTensor> tensors;
  for (size_t i = 0; i < matrices.size(); ++i) {
    const Adapter::Matrices& each = matrices[i];
    const auto rank = static_cast<uint64_t>(each.rank);
    const bool rotated = each.target == LoraTarget::kQ || each.target == LoraTarget::kK;
    std::span<const float> b = each.b;
    if (rotated && base.interleaved_rope) {
      turned[i] = half_split_rows(each.b, rank, static_cast<size_t>(base.head_dim));
      b = turned[i];
    }
    const std::string name = fmt::format("base_model.model.model.layers.{}.{}.lora_",
                                         each.layer_idx, peft_module_of(each.target).name);
    tensors.push_back({name + "A.weight",
                       SafeType::kF32,
                       {rank, static_cast<uint64_t>(base.in_dim(each.target))},
                       std::as_bytes(std::span(each.a))});
    tensors.push_back({name + "B.weight",
                       SafeType::kF32,
                       {static_cast<uint64_t>(base.out_dim(each.target)), rank},
                       std::as_bytes(b)});
  }
  std::ranges::sort(tensors, {}, &SafeTensor::name);
  const std::pair<std::string, std::string> metadata[] = {{"format", "pt"}};
  return formats::write_safetensors(path, tensors, metadata);
}

}  // namespace

Status write_peft(const std::string& folder, const BaseShape& base,
                  std::span<const Adapter::Matrices> matrices, const std::string& base_model) {
  RUVLLM_TRY(Adapter::create(folder, base, {matrices.begin(), matrices.end()}));
  for (const Adapter::Matrices& each : matrices) {
    if (each.rank == matrices.front().rank && each.scale == matrices.front().scale) continue;
    return fail(ErrorCode::kUnsupported,
                "{}: the adapter's matrices differ in rank or scale, which are written for all at "
                "once",
                folder);
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return fail(ErrorCode::kUnavailable, "{}: cannot make the folder: {}", folder, error.message());
  }
  RUVLLM_TRY(
      write_weights((fs::path(folder) / "adapter_model.safetensors").string(), base, matrices));
  const std::string config =
      config_of(matrices, base_model).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  formats::OutputFile file((fs::path(folder) / "adapter_config.json").string());
  RUVLLM_TRY(file.open());
  RUVLLM_TRY(file.write(std::as_bytes(std::span(config))));
  return file.commit();
}

}  // namespace ruvllm::adapters
