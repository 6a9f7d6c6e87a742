#include "api/hub/store/huggingface_cache.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "api/hub/names/text.h"
#include "api/hub/store/folders.h"
#include "api/hub/transfer/files.h"

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "models--";
constexpr size_t kCommitDigits = 40;
constexpr size_t kShownDigits = 12;
constexpr size_t kMaxRefBytes = 256;

std::string folder_name(const std::string& repository) {
  std::string name = std::string(kPrefix) + repository;
  const size_t slash = name.find('/');
  if (slash != std::string::npos) name.replace(slash, 1, "--");
  return name;
}

std::optional<std::string> repository_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::string repository = name.substr(kPrefix.size());
  const size_t dashes = repository.find("--");
  if (dashes != std::string::npos) repository.replace(dashes, 2, "/");
  return repository;
}

// The blob that a file of a snapshot is a link to; "" for a plain file.
std::string blob_of(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? "" : target.filename().string();
}

}  // namespace

std::string HuggingFaceCache::repository_folder(const std::string& repository) const {
  return folder_ + "/" + folder_name(repository);
}

std::string HuggingFaceCache::blob_path(const std::string& repository,
                                        const std::string& blob) const {
  return repository_folder(repository) + "/blobs/" + blob;
}

std::string HuggingFaceCache::snapshot_folder(const std::string& repository,
                                              const std::string& commit) const {
  return repository_folder(repository) + "/snapshots/" + commit;
}

std::string HuggingFaceCache::lock_path(const std::string& repository,
                                        const std::string& blob) const {
  return folder_ + "/.locks/" + folder_name(repository) + "/" + blob + ".lock";
}

std::string HuggingFaceCache::use_lock_path(const std::string& repository) const {
  return lock_path(repository, "ruvllm");
}

Status HuggingFaceCache::add_snapshot(const std::string& repository, const std::string& revision,
                                      const std::string& commit,
                                      const std::vector<RepositoryFile>& files) const {
  const std::string snapshot = snapshot_folder(repository, commit);
  for (const RepositoryFile& file : files) {
    RUVLLM_TRY(make_relative_link(blob_path(repository, file.blob), snapshot + "/" + file.path));
  }
  if (commit.starts_with(revision)) return {};  // the commit itself was asked for
  const std::string ref = repository_folder(repository) + "/refs/" + revision;
  RUVLLM_TRY(make_folders(fs::path(ref).parent_path()));
  return write_small_file(ref, commit);
}

std::vector<HuggingFaceCache::Snapshot> HuggingFaceCache::snapshots(
    const std::string& repository) const {
  std::map<std::string, std::string> revisions;  // commit, the best name for it
  const std::string refs = repository_folder(repository) + "/refs";
  for (const std::string& revision : files_below(refs)) {
    const auto commit = read_small_file(refs + "/" + revision, kMaxRefBytes);
    if (!commit) continue;
    std::string& name = revisions[commit->substr(0, kCommitDigits)];
    if (name.empty() || revision == "main") name = revision;
  }
  std::vector<Snapshot> out;
  for (const std::string& commit : folder_names(repository_folder(repository) + "/snapshots")) {
    if (!is_hex(commit, kCommitDigits)) continue;
    std::string revision = revisions[commit];
    if (revision.empty()) revision = commit.substr(0, kShownDigits);
    out.push_back({commit, revision == "main" ? "" : revision});
  }
  return out;
}

Result<HuggingFaceCache::Snapshot> HuggingFaceCache::find_snapshot(
    const ModelReference& reference) const {
  constexpr size_t kLeastDigits = 7;
  const std::string& revision = reference.revision;
  const std::string wanted = revision == "main" ? "" : revision;
  const std::vector<Snapshot> all = snapshots(reference.repository);
  for (const Snapshot& snapshot : all) {
    if (snapshot.revision == wanted) return snapshot;
  }
  // A commit may have several names, and a commit may be named by its beginning.
  const std::string ref =
      repository_folder(reference.repository) + "/refs/" + (revision.empty() ? "main" : revision);
  const auto commit = read_small_file(ref, kMaxRefBytes);
  for (const Snapshot& snapshot : all) {
    const bool by_commit = revision.size() >= kLeastDigits && snapshot.commit.starts_with(revision);
    if (by_commit || (commit && *commit == snapshot.commit)) return snapshot;
  }
  return fail(ErrorCode::kNotFound, "{}: nothing of it is here", reference.name());
}

std::vector<RepositoryFile> HuggingFaceCache::snapshot_files(const std::string& repository,
                                                             const std::string& commit) const {
  const std::string folder = snapshot_folder(repository, commit);
  std::vector<RepositoryFile> files;
  for (const std::string& path : files_below(folder)) {
    const std::optional<uint64_t> size = file_size(folder + "/" + path);  // of the blob
    if (size) files.push_back({path, *size, blob_of(fs::path(folder) / path)});
  }
  return files;
}

KnownModel HuggingFaceCache::describe(const std::string& repository, const Snapshot& snapshot,
                                      const Selection& selection) const {
  KnownModel known;
  known.reference = {ModelSource::kHuggingFace, repository, selection.selector, snapshot.revision,
                     ""};
  known.model.name = known.reference.name();
  known.model.source = "huggingface";
  known.model.path = snapshot_folder(repository, snapshot.commit);
  if (!selection.main_path.empty()) known.model.path += "/" + selection.main_path;
  for (const RepositoryFile& file : selection.files) known.model.bytes += file.size;
  known.model.modified_seconds = modified_seconds(known.model.path);
  return known;
}

Result<KnownModel> HuggingFaceCache::find(const ModelReference& reference) const {
  RUVLLM_ASSIGN(const Snapshot snapshot, find_snapshot(reference));
  const auto files = snapshot_files(reference.repository, snapshot.commit);
  RUVLLM_ASSIGN(const Selection selection,
                select_files(files, reference.selector, reference.repository + " as it is here"));
  return describe(reference.repository, snapshot, selection);
}

std::vector<KnownModel> HuggingFaceCache::models() const {
  std::vector<KnownModel> models;
  for (const std::string& name : folder_names(folder_)) {
    const std::optional<std::string> repository = repository_of(name);
    if (!repository) continue;
    for (const Snapshot& snapshot : snapshots(*repository)) {
      for (const Selection& selection :
           all_selections(snapshot_files(*repository, snapshot.commit))) {
        models.push_back(describe(*repository, snapshot, selection));
      }
    }
  }
  return models;
}

void HuggingFaceCache::remove_snapshot_if_empty(const std::string& repository,
                                                const Snapshot& snapshot) const {
  const std::string folder = repository_folder(repository);
  const std::string snapshot_path = snapshot_folder(repository, snapshot.commit);
  remove_empty_folders(snapshot_path);
  if (file_exists(snapshot_path)) return;
  std::error_code ignored;
  for (const std::string& revision : files_below(folder + "/refs")) {
    const std::string ref = folder + "/refs/" + revision;
    const auto commit = read_small_file(ref, kMaxRefBytes);
    if (commit && *commit == snapshot.commit) fs::remove(ref, ignored);
  }
  // huggingface_hub's notes of files that a commit lacks.
  fs::remove_all(folder + "/.no_exist/" + snapshot.commit, ignored);
  if (folder_names(folder + "/snapshots").empty()) remove_empty_folders(folder);
}

Result<uint64_t> HuggingFaceCache::remove(const ModelReference& reference) const {
  const std::string& repository = reference.repository;
  RUVLLM_ASSIGN(const auto lock,
                FileLock::try_lock(use_lock_path(repository), FileLock::Mode::kExclusive));
  if (!lock) {
    return fail(ErrorCode::kResourceExhausted, "{}: somebody is pulling from {}; try again later",
                reference.name(), repository);
  }
  RUVLLM_ASSIGN(const Snapshot snapshot, find_snapshot(reference));
  const auto files = snapshot_files(repository, snapshot.commit);
  RUVLLM_ASSIGN(const Selection selection, select_files(files, reference.selector, repository));
  std::error_code error;
  uint64_t freed = 0;
  for (const RepositoryFile& file : selection.files) {
    const std::string path = snapshot_folder(repository, snapshot.commit) + "/" + file.path;
    if (!fs::remove(path, error)) return file_failure(path, "remove", error.value());
    if (file.blob.empty()) freed += file.size;
  }
  std::set<std::string> used;
  for (const Snapshot& other : snapshots(repository)) {
    for (const RepositoryFile& file : snapshot_files(repository, other.commit)) {
      used.insert(file.blob);
    }
  }
  for (const RepositoryFile& file : selection.files) {
    if (file.blob.empty() || used.contains(file.blob)) continue;
    if (fs::remove(blob_path(repository, file.blob), error)) freed += file.size;
  }
  remove_snapshot_if_empty(repository, snapshot);
  return freed;
}

}  // namespace ruvllm::hub
