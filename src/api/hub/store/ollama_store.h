// The models of an installed Ollama, read only:
//   manifests/registry.ollama.ai/USER/NAME/TAG   OCI manifest
//   blobs/sha256-HEX                             layers
#pragma once

#include <string>
#include <vector>

#include "api/hub/store/stored.h"
#include "base/core/error.h"

namespace ruvllm::hub {

class OllamaStore {
 public:
  explicit OllamaStore(std::string folder) : folder_(std::move(folder)) {}

  std::string blob_path(const std::string& sha256) const;
  Result<KnownModel> find(const ModelReference& reference) const;
  std::vector<KnownModel> models() const;

 private:
  std::string manifests() const { return folder_ + "/manifests/registry.ollama.ai"; }

  std::string folder_;
};

}  // namespace ruvllm::hub
