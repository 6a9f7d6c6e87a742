// Models by name: fetch them from Hugging Face, an Ollama registry or a URL, find them again, list
// and remove them. Files of Hugging Face go into its own cache layout, so that other programs find
// what was pulled here and the other way round; everything else into a store of our own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

enum class ModelSource : uint8_t { kHuggingFace, kOllama, kUrl };

// What a name of a model means. Names are
//   hf:ORG/REPO[:QUANTIZATION or FILE][@REVISION]   also ORG/REPO..., hf.co/ORG/REPO... and
//                                                   addresses of files at huggingface.co
//   ollama:[USER/]NAME[:TAG]                        also NAME[:TAG]
//   https://HOST/PATH[#sha256=HEX]                  http:// only for this machine
struct ModelReference {
  ModelSource source = ModelSource::kHuggingFace;
  std::string repository;  // "org/repo"; "library/qwen2.5"; the URL without its fragment
  std::string selector;    // quantization or file, "": the best there is; the tag
  std::string revision;    // Hugging Face: branch, tag or commit
  std::string sha256;      // URL: what the file must hash to; "": anything

  // The one spelling that list shows: "hf:org/repo:Q4_K_M", "ollama:qwen2.5:0.5b".
  RUVLLM_API std::string name() const;
};

RUVLLM_API Result<ModelReference> parse_model_reference(std::string_view text);

struct HubSettings {
  std::string cache_folder;     // Hugging Face's: HF_HUB_CACHE, else HF_HOME/hub
  std::string store_folder;     // ours: $XDG_DATA_HOME/ruvllm/models
  std::string ollama_folder;    // of an installed Ollama, only read: OLLAMA_MODELS
  std::string endpoint;         // HF_ENDPOINT; https://huggingface.co
  std::string ollama_registry;  // RUVLLM_OLLAMA_REGISTRY; https://registry.ollama.ai
  std::string token;            // HF_TOKEN, else the file that Hugging Face's login writes
  bool offline = false;         // HF_HUB_OFFLINE
  std::string ca_file;          // SSL_CERT_FILE: PEM of who vouches for servers; "": the system's

  uint32_t stall_seconds = 30;  // RUVLLM_PULL_STALL_SECONDS: silence that ends a connection
  uint32_t num_retries = 6;     // RUVLLM_PULL_RETRIES: in a row, without a byte in between
  uint32_t backoff_ms = 500;    // RUVLLM_PULL_BACKOFF_MS: the first wait; it doubles
  uint64_t part_bytes = uint64_t{16} << 20;  // RUVLLM_PULL_PART_BYTES: parts are not smaller
};

// From the environment.
RUVLLM_API Result<HubSettings> load_hub_settings();

struct PullOptions {
  std::string name;
  uint32_t num_parts = 4;  // connections for one big file
};

struct PullProgress {
  std::string activity;  // "downloading", "verifying", "waiting for another download", ...
  std::string file;      // in work
  uint32_t num_files = 0;
  uint32_t files_done = 0;
  uint64_t bytes_done = 0;  // of all files, with what was there already
  uint64_t bytes_total = 0;
  uint64_t bytes_received = 0;  // over the network, by this pull
};

struct PulledModel {
  std::string name;
  std::string path;      // what to give to Engine::create
  std::string revision;  // commit at Hugging Face
  uint64_t bytes = 0;
  uint64_t bytes_received = 0;
  uint32_t num_files = 0;
};

// Works on a thread of its own. Nothing appears under its final name before it is complete,
// verified and on disk; what is interrupted goes on where it stopped when pulled again.
class RUVLLM_API ModelPull {
 public:
  static Result<ModelPull> create(const PullOptions& options, const HubSettings& settings);
  ModelPull(ModelPull&&) noexcept;
  ModelPull& operator=(ModelPull&&) noexcept;
  ~ModelPull();  // cancels

  // Waits a little (0.1 s at most); false when all is done. Errors end the pull.
  Result<bool> step();
  PullProgress progress() const;
  // Lines for people since the last call: retries, waits, files taken from elsewhere.
  std::vector<std::string> take_notes();
  // Ends the pull soon; step() then fails with kCancelled and says what was kept.
  void cancel();
  // After step() returned false.
  const PulledModel& result() const;

 private:
  struct Impl;
  explicit ModelPull(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct StoredModel {
  std::string name;
  std::string source;  // "huggingface", "ollama", "url"
  std::string path;
  uint64_t bytes = 0;
  int64_t modified_seconds = 0;  // since 1970
  bool removable = true;         // false: belongs to an installed Ollama
};

// By name. Things that are not as expected in the stores are left out.
RUVLLM_API std::vector<StoredModel> list_models(const HubSettings& settings);

// The model that `name` means, as list_models() gives it. kNotFound says what is near and how to
// get it.
RUVLLM_API Result<StoredModel> find_stored_model(const std::string& name,
                                                 const HubSettings& settings);

// What may stand wherever a model is named: a path that exists stays what it is, a name becomes
// the path of the pulled model. Settings are those of the environment.
RUVLLM_API Result<std::string> resolve_model(const std::string& path_or_name);

struct RemovedModel {
  std::string name;
  uint64_t bytes_freed = 0;
};

// Removes the name, then every blob that nothing refers to any more.
RUVLLM_API Result<RemovedModel> remove_model(const StoredModel& model, const HubSettings& settings);

}  // namespace ruvllm
