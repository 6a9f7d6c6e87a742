// Lists of files by content: of Ollama's registry and store, and of our own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/hub/names/digest.h"
#include "base/core/error.h"

namespace ruvllm::hub {

// A layer of an OCI image manifest, as Ollama uses it.
struct OllamaLayer {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
};
// `what` names the manifest in errors.
Result<std::vector<OllamaLayer>> parse_ollama_manifest(const std::string& text,
                                                       std::string_view what);
// The file name that a layer gets beside its model ("template.txt"); "": of no use here. The model
// itself: "model.gguf".
std::string ollama_layer_file(std::string_view media_type);

// A name in our own store.
struct OwnFile {
  std::string path;  // beside the manifest, a link to the blob
  std::string sha256;
  uint64_t size = 0;
};
struct OwnManifest {
  std::string name;
  std::string main_path;  // one of the files
  std::vector<OwnFile> files;
};
std::string format_own_manifest(const OwnManifest& manifest);
Result<OwnManifest> parse_own_manifest(const std::string& text, std::string_view what);

}  // namespace ruvllm::hub
