// What was pulled from Ollama's registry or a URL, by content:
//   blobs/sha256-HEX                     content
//   names/SOURCE/.../manifest.json       a name, with relative links to its blobs beside it
//   partial/, locks/                     work in progress
#pragma once

#include <string>
#include <vector>

#include "api/hub/store/manifest.h"
#include "api/hub/store/stored.h"
#include "base/core/error.h"

namespace ruvllm::hub {

class OwnStore {
 public:
  explicit OwnStore(std::string folder) : folder_(std::move(folder)) {}

  std::string blob_path(const std::string& sha256) const;
  // `key`: a digest, or what stands for content that is not known yet.
  std::string partial_path(const std::string& key) const;
  std::string lock_path(const std::string& key) const;
  // Shared while something is added, exclusive while something is removed.
  std::string use_lock_path() const { return lock_path("store"); }

  // The blobs are there. Replaces what had the name.
  Status add(const ModelReference& reference, const OwnManifest& manifest) const;
  Result<KnownModel> find(const ModelReference& reference) const;
  std::vector<KnownModel> models() const;
  // Returns the bytes freed.
  Result<uint64_t> remove(const ModelReference& reference) const;

 private:
  std::string name_folder(const ModelReference& reference) const;
  Result<OwnManifest> read_manifest(const std::string& folder) const;
  std::vector<std::string> manifest_folders() const;
  Result<KnownModel> describe(const std::string& folder) const;

  std::string folder_;
};

}  // namespace ruvllm::hub
