// Ollama's registry: GET /v2/USER/NAME/manifests/TAG gives the layers, GET
// /v2/USER/NAME/blobs/DIGEST one of them.
#include <algorithm>

#include "api/hub/names/quantization.h"
#include "api/hub/names/text.h"
#include "api/hub/pull/blobs.h"
#include "api/hub/pull/sources.h"
#include "api/hub/store/manifest.h"
#include "api/hub/store/ollama_store.h"
#include "api/hub/store/own_store.h"
#include "api/hub/transfer/fetch.h"

namespace ruvllm::hub {
namespace {

// "qwen2.5-0.5b.gguf": says more than "model.gguf" where only the path is seen.
std::string model_file_name(const ModelReference& reference) {
  return fmt::format("{}-{}.gguf", base_name(reference.repository), reference.selector);
}

// Names for the layers that are of use here, the model first.
Result<OwnManifest> name_files(const ModelReference& reference,
                               const std::vector<OllamaLayer>& layers) {
  OwnManifest manifest{reference.name(), "", {}};
  for (const OllamaLayer& layer : layers) {
    std::string file = ollama_layer_file(layer.media_type);
    if (file.empty()) continue;
    if (file == "model.gguf") file = model_file_name(reference);
    if (std::ranges::find(manifest.files, file, &OwnFile::path) != manifest.files.end()) {
      file = fmt::format("{}-{}", manifest.files.size(), file);  // a second license, say
    }
    const bool is_model = ollama_layer_file(layer.media_type) == "model.gguf";
    if (is_model && manifest.main_path.empty()) manifest.main_path = file;
    manifest.files.push_back({file, layer.digest.hex, layer.size});
  }
  if (manifest.main_path.empty()) {
    return fail(ErrorCode::kUnsupported,
                "{}: the registry has no GGUF file for it; look for the model on Hugging Face",
                reference.name());
  }
  const auto main = std::ranges::find(manifest.files, manifest.main_path, &OwnFile::path);
  std::rotate(manifest.files.begin(), main, main + 1);
  return manifest;
}

}  // namespace

Result<PulledModel> pull_ollama(PullContext& context, const ModelReference& reference) {
  const OwnStore store(context.settings.store_folder);
  const OllamaStore installed(context.settings.ollama_folder);
  const std::string name = reference.name();
  RUVLLM_ASSIGN(const FileLock use, wait_for_lock(context, store.use_lock_path(),
                                                  FileLock::Mode::kShared, "the store"));
  const std::string base = context.settings.ollama_registry + "/v2/" + reference.repository;
  context.board.set_activity("asking " + context.settings.ollama_registry);
  const HttpRequest request{.url = base + "/manifests/" + reference.selector,
                            .accept = "application/vnd.docker.distribution.manifest.v2+json",
                            .token = ""};
  RUVLLM_ASSIGN(const Document document, fetch_document(context, request, name));
  RUVLLM_ASSIGN(const std::vector<OllamaLayer> layers, parse_ollama_manifest(document.body, name));
  RUVLLM_ASSIGN(const OwnManifest manifest, name_files(reference, layers));
  PulledModel result;
  RUVLLM_ASSIGN(result.bytes, total_size(manifest.files, name));
  result.num_files = static_cast<uint32_t>(manifest.files.size());
  context.board.update([&](PullProgress& progress) {
    progress.num_files = result.num_files;
    progress.bytes_total = result.bytes;
  });
  for (const OwnFile& file : manifest.files) {
    const Digest digest{DigestKind::kSha256, file.sha256};
    RUVLLM_TRY(ensure_blob(context,
                           {.url = base + "/blobs/sha256:" + file.sha256,
                            .what = file.path,
                            .size = file.size,
                            .digest = digest,
                            .partial_path = store.partial_path("sha256-" + file.sha256)},
                           {store.blob_path(file.sha256),
                            store.lock_path(file.sha256),
                            {installed.blob_path(file.sha256)}}));
  }
  RUVLLM_TRY(store.add(reference, manifest));
  RUVLLM_ASSIGN(const KnownModel known, store.find(reference));
  result.name = known.model.name;
  result.path = known.model.path;
  return result;
}

}  // namespace ruvllm::hub
