#include "adapters/files/loader.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "adapters/files/formats.h"
#include "formats/json/json_document.h"

namespace ruvllm::adapters {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = size_t{1} << 20;

Result<std::vector<Adapter::Matrices>> load_peft(const fs::path& weights, const BaseShape& base) {
  const std::string config_path = (weights.parent_path() / "adapter_config.json").string();
  RUVLLM_ASSIGN(nlohmann::json values, formats::read_json_file(config_path, kMaxConfigBytes));
  RUVLLM_ASSIGN(const formats::JsonFields config,
                formats::JsonFields::of(std::move(values), config_path,
                                        "the adapter_config.json of a PEFT adapter"));
  RUVLLM_ASSIGN(const formats::SafetensorsFile file,
                formats::SafetensorsFile::open(weights.string()));
  return read_peft(config, file, base);
}

Result<std::vector<Adapter::Matrices>> load_matrices(const std::string& path,
                                                     const BaseShape& base) {
  const fs::path place(path);
  std::error_code error;
  if (fs::is_directory(place, error)) {
    return load_peft(place / "adapter_model.safetensors", base);
  }
  if (place.extension() == ".safetensors") return load_peft(place, base);
  RUVLLM_ASSIGN(const formats::GgufFile file, formats::GgufFile::open(path));
  return read_gguf_adapter(file, base);
}

}  // namespace

Result<std::shared_ptr<const Adapter>> load_adapter(const std::string& path,
                                                    const std::string& name,
                                                    const BaseShape& base) {
  RUVLLM_ASSIGN(std::vector<Adapter::Matrices> matrices, load_matrices(path, base));
  return Adapter::create(name, base, std::move(matrices));
}

}  // namespace ruvllm::adapters
