#include "api/hub/store/own_store.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "api/hub/names/digest.h"
#include "api/hub/store/folders.h"
#include "api/hub/transfer/files.h"

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifest = "manifest.json";
constexpr std::string_view kBlobPrefix = "sha256-";
constexpr size_t kMaxManifestBytes = size_t{4} << 20;
constexpr size_t kUrlDigits = 32;

}  // namespace

std::string OwnStore::blob_path(const std::string& sha256) const {
  return folder_ + "/blobs/" + std::string(kBlobPrefix) + sha256;
}

std::string OwnStore::partial_path(const std::string& key) const {
  return folder_ + "/partial/" + key + ".incomplete";
}

std::string OwnStore::lock_path(const std::string& key) const {
  return folder_ + "/locks/" + key + ".lock";
}

std::string OwnStore::name_folder(const ModelReference& reference) const {
  const std::string names = folder_ + "/names/";
  if (reference.source == ModelSource::kOllama) {
    return names + "ollama/" + reference.repository + "/" + reference.selector;
  }
  return names + "url/" + sha256_hex(reference.repository).substr(0, kUrlDigits);
}

Result<OwnManifest> OwnStore::read_manifest(const std::string& folder) const {
  const std::string path = folder + "/" + std::string(kManifest);
  RUVLLM_ASSIGN(const std::string text, read_small_file(path, kMaxManifestBytes));
  return parse_own_manifest(text, path);
}

Status OwnStore::add(const ModelReference& reference, const OwnManifest& manifest) const {
  const std::string folder = name_folder(reference);
  RUVLLM_TRY(make_folders(folder));
  for (const OwnFile& file : manifest.files) {
    RUVLLM_TRY(make_relative_link(blob_path(file.sha256), folder + "/" + file.path));
  }
  RUVLLM_TRY(
      write_small_file(folder + "/" + std::string(kManifest), format_own_manifest(manifest)));
  std::error_code ignored;
  for (const std::string& name : folder_names(folder)) {
    const bool belongs =
        name == kManifest ||
        std::ranges::find(manifest.files, name, &OwnFile::path) != manifest.files.end();
    if (!belongs) fs::remove(folder + "/" + name, ignored);
  }
  return {};
}

Result<KnownModel> OwnStore::describe(const std::string& folder) const {
  RUVLLM_ASSIGN(const OwnManifest manifest, read_manifest(folder));
  KnownModel known;
  RUVLLM_ASSIGN(known.reference, parse_model_reference(manifest.name));
  known.model.name = known.reference.name();
  known.model.source = known.reference.source == ModelSource::kOllama ? "ollama" : "url";
  known.model.path = folder + "/" + manifest.main_path;
  for (const OwnFile& file : manifest.files) {
    known.model.bytes += file.size;
    if (!file_exists(folder + "/" + file.path)) {
      return fail(ErrorCode::kNotFound, "{}: {} is missing; pull it again", manifest.name,
                  blob_path(file.sha256));
    }
  }
  known.model.modified_seconds = modified_seconds(folder + "/" + std::string(kManifest));
  return known;
}

Result<KnownModel> OwnStore::find(const ModelReference& reference) const {
  return describe(name_folder(reference));
}

std::vector<std::string> OwnStore::manifest_folders() const {
  const std::string names = folder_ + "/names";
  std::vector<std::string> folders;
  for (const std::string& path : files_below(names)) {
    if (path.ends_with("/" + std::string(kManifest))) {
      folders.push_back(names + "/" + path.substr(0, path.size() - kManifest.size() - 1));
    }
  }
  return folders;
}

std::vector<KnownModel> OwnStore::models() const {
  std::vector<KnownModel> models;
  for (const std::string& folder : manifest_folders()) {
    if (auto known = describe(folder)) models.push_back(*std::move(known));
  }
  return models;
}

Result<uint64_t> OwnStore::remove(const ModelReference& reference) const {
  RUVLLM_ASSIGN(const auto lock, FileLock::try_lock(use_lock_path(), FileLock::Mode::kExclusive));
  if (!lock) {
    return fail(ErrorCode::kResourceExhausted, "{}: somebody is pulling a model; try again later",
                reference.name());
  }
  const std::string folder = name_folder(reference);
  RUVLLM_TRY(read_manifest(folder));
  std::error_code error;
  // The manifest goes first: without it the rest is no model.
  if (!fs::remove(folder + "/" + std::string(kManifest), error)) {
    return file_failure(folder, "remove", error.value());
  }
  fs::remove_all(folder, error);
  remove_empty_folders(folder_ + "/names");
  std::set<std::string> used;
  for (const std::string& other : manifest_folders()) {
    // Without knowing what a damaged manifest refers to, nothing may go.
    RUVLLM_ASSIGN(const OwnManifest manifest, read_manifest(other));
    for (const OwnFile& file : manifest.files) {
      used.insert(fs::path(blob_path(file.sha256)).filename());
    }
  }
  uint64_t freed = 0;
  for (const std::string& blob : folder_names(folder_ + "/blobs")) {
    if (!blob.starts_with(kBlobPrefix) || used.contains(blob)) continue;
    const std::string path = folder_ + "/blobs/" + blob;
    const uint64_t size = file_size(path).value_or(0);
    if (fs::remove(path, error)) freed += size;
  }
  return freed;
}

}  // namespace ruvllm::hub
