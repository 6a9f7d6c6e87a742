#include "model/import/import.h"

#include <cctype>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "formats/json/json_document.h"
#include "model/import/family.h"
#include "model/import/tensor_match.h"

namespace ruvllm::model {
namespace {

constexpr size_t kMaxConfigBytes = size_t{16} << 20;

std::string folder_name(const std::string& folder) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::weakly_canonical(folder, error);
  if (error) path = folder;
  const std::string name = path.filename().string();
  return name.empty() ? "model" : name;
}

// Weights that are quantized in a way that is no tensor type of safetensors.
Status check_quantization(const HfConfig& config) {
  if (!config.has("quantization_config")) return {};
  RUVLLM_ASSIGN(const formats::JsonFields section, config.section("quantization_config"));
  RUVLLM_ASSIGN(const std::string method, section.string_or("quant_method", "unnamed"));
  if (method == "mxfp4") return {};
  return fail(
      ErrorCode::kUnsupported,
      "{}: field 'quantization_config' says that the weights are quantized by '{}', which is "
      "not supported; use the model's unquantized weights",
      config.file(), method);
}

// How sentence-transformers pools token embeddings: modules.json names a folder with the settings.
Status add_pooling(const std::string& folder, const ImportContext& context,
                   formats::GgufMetadata& metadata) {
  const std::string modules_path = file_in(folder, "modules.json");
  std::error_code error;
  if (!std::filesystem::exists(modules_path, error)) return {};
  RUVLLM_ASSIGN(const nlohmann::json modules,
                formats::read_json_file(modules_path, kMaxConfigBytes));
  for (const nlohmann::json& module : modules.is_array() ? modules : nlohmann::json::array()) {
    const auto text = [&module](const char* key) {
      const auto at = module.is_object() ? module.find(key) : module.end();
      return module.is_object() && at != module.end() && at->is_string() ? at->get<std::string>()
                                                                         : std::string();
    };
    if (!text("type").ends_with("Pooling")) continue;
    const std::string part = text("path");
    if (part.find('/') != std::string::npos || part.starts_with('.')) {
      return fail(ErrorCode::kCorrupt, "{}: field 'path' leads out of the folder", modules_path);
    }
    const std::string path = file_in(file_in(folder, part), "config.json");
    RUVLLM_ASSIGN(const nlohmann::json pooling, formats::read_json_file(path, kMaxConfigBytes));
    struct Mode {
      const char* key;
      std::string_view name;
      uint32_t number;  // GGUF's
    };
    for (const Mode& mode :
         {Mode{"pooling_mode_mean_tokens", "mean", 1}, Mode{"pooling_mode_cls_token", "cls", 2},
          Mode{"pooling_mode_lasttoken", "lasttoken", 3}}) {
      if (!pooling.is_object()) break;
      const bool by_flag = pooling.value(mode.key, nlohmann::json()) == true;
      if (!by_flag && pooling.value("pooling_mode", nlohmann::json()) != mode.name) continue;
      metadata.add_uint32(context.key("pooling_type"), mode.number);
      return {};
    }
    return fail(ErrorCode::kUnsupported,
                "{}: no field 'pooling_mode_...' is true for mean, cls or last token", path);
  }
  return {};
}

Result<HfConfig> read_config_json(const std::string& folder) {
  const std::string path = file_in(folder, "config.json");
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return fail(ErrorCode::kNotFound,
                "{}: there is no config.json; name a model file, or the folder of a Hugging Face "
                "model",
                folder);
  }
  RUVLLM_ASSIGN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  if (bytes.size() > kMaxConfigBytes) {
    return fail(ErrorCode::kCorrupt, "{}: {} bytes are more than a config has", path, bytes.size());
  }
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return HfConfig::parse(text, path);
}

}  // namespace

std::string file_in(const std::string& folder, std::string_view name) {
  return folder.ends_with('/') ? fmt::format("{}{}", folder, name)
                               : fmt::format("{}/{}", folder, name);
}

Result<Import> plan_import(const std::string& folder, ImportScope scope) {
  Import out;
  RUVLLM_ASSIGN(out.config, read_config_json(folder));
  RUVLLM_ASSIGN(const Family* family, find_family(out.config));
  for (const ConfigDefault& fallback : family->defaults) out.config.set_default(fallback);
  out.architecture = family->architecture;
  const ImportContext context{out.config, family->architecture};
  out.metadata.add_string("general.architecture", family->architecture);
  out.metadata.add_string("general.type", "model");
  out.metadata.add_string("general.name", folder_name(folder));
  RUVLLM_TRY(family->add_metadata(context, out.metadata));
  RUVLLM_TRY(add_pooling(folder, context, out.metadata));
  out.metadata.add_uint32("general.quantization_version", 2);
  if (scope == ImportScope::kMetadata) return out;
  RUVLLM_TRY(check_quantization(out.config));
  RUVLLM_ASSIGN(out.weights, formats::SafetensorsSet::open(folder));
  if (family->add_tensors != nullptr) RUVLLM_TRY(family->add_tensors(context, out.tensors));
  RUVLLM_ASSIGN(std::vector<TensorPlan> matched, match_tensors(*family, out.config, out.weights));
  out.tensors.insert(out.tensors.end(), std::make_move_iterator(matched.begin()),
                     std::make_move_iterator(matched.end()));
  return out;
}

}  // namespace ruvllm::model
