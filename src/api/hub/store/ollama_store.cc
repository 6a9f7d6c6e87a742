#include "api/hub/store/ollama_store.h"

#include <utility>

#include "api/hub/names/text.h"
#include "api/hub/store/folders.h"
#include "api/hub/store/manifest.h"
#include "api/hub/transfer/files.h"

namespace ruvllm::hub {
namespace {
constexpr size_t kMaxManifestBytes = size_t{4} << 20;
}  // namespace

std::string OllamaStore::blob_path(const std::string& sha256) const {
  return folder_ + "/blobs/sha256-" + sha256;
}

Result<KnownModel> OllamaStore::find(const ModelReference& reference) const {
  const std::string path = manifests() + "/" + reference.repository + "/" + reference.selector;
  RUVLLM_ASSIGN(const std::string text, read_small_file(path, kMaxManifestBytes));
  RUVLLM_ASSIGN(const std::vector<OllamaLayer> layers, parse_ollama_manifest(text, path));
  KnownModel known;
  known.reference = reference;
  known.model.name = reference.name();
  known.model.source = "ollama";
  known.model.removable = false;
  known.model.modified_seconds = modified_seconds(path);
  for (const OllamaLayer& layer : layers) {
    known.model.bytes += layer.size;
    if (known.model.path.empty() && ollama_layer_file(layer.media_type) == "model.gguf") {
      known.model.path = blob_path(layer.digest.hex);
    }
  }
  if (known.model.path.empty() || !file_exists(known.model.path)) {
    return fail(ErrorCode::kNotFound, "{}: no model file of it is there", path);
  }
  return known;
}

std::vector<KnownModel> OllamaStore::models() const {
  std::vector<KnownModel> models;
  for (const std::string& path : files_below(manifests())) {
    const std::vector<std::string> parts = split(path, '/');
    if (parts.size() != 3) continue;
    const auto reference =
        parse_model_reference("ollama:" + parts[0] + "/" + parts[1] + ":" + parts[2]);
    if (!reference) continue;
    if (auto known = find(*reference)) models.push_back(*std::move(known));
  }
  return models;
}

}  // namespace ruvllm::hub
