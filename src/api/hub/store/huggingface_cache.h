// The cache that huggingface_hub, transformers and llama.cpp share:
//   models--ORG--REPO/blobs/HASH              content
//   models--ORG--REPO/snapshots/COMMIT/PATH   relative links to blobs
//   models--ORG--REPO/refs/REVISION           commit of a branch or tag
//   .locks/models--ORG--REPO/HASH.lock        held while a blob is written
#pragma once

#include <string>
#include <vector>

#include "api/hub/names/select.h"
#include "api/hub/store/stored.h"
#include "base/core/error.h"

namespace ruvllm::hub {

class HuggingFaceCache {
 public:
  explicit HuggingFaceCache(std::string folder) : folder_(std::move(folder)) {}

  std::string repository_folder(const std::string& repository) const;
  std::string blob_path(const std::string& repository, const std::string& blob) const;
  std::string snapshot_folder(const std::string& repository, const std::string& commit) const;
  std::string lock_path(const std::string& repository, const std::string& blob) const;
  // Shared while files of a repository are added, exclusive while some are removed.
  std::string use_lock_path(const std::string& repository) const;

  // Links the files, whose blobs are there, into the snapshot, then points the revision to it.
  Status add_snapshot(const std::string& repository, const std::string& revision,
                      const std::string& commit, const std::vector<RepositoryFile>& files) const;

  Result<KnownModel> find(const ModelReference& reference) const;
  std::vector<KnownModel> models() const;
  // Returns the bytes freed.
  Result<uint64_t> remove(const ModelReference& reference) const;

 private:
  // A commit that is here and what names it: "" for main, a branch or tag, else part of the commit.
  struct Snapshot {
    std::string commit;
    std::string revision;
  };
  std::vector<Snapshot> snapshots(const std::string& repository) const;
  Result<Snapshot> find_snapshot(const ModelReference& reference) const;
  std::vector<RepositoryFile> snapshot_files(const std::string& repository,
                                             const std::string& commit) const;
  KnownModel describe(const std::string& repository, const Snapshot& snapshot,
                      const Selection& selection) const;
  void remove_snapshot_if_empty(const std::string& repository, const Snapshot& snapshot) const;

  std::string folder_;
};

}  // namespace ruvllm::hub
