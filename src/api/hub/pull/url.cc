// A file at an address: nothing is known of it but what the server says when asked for it.
#include "api/hub/net/url.h"

#include <optional>

#include <unistd.h>

#include "api/hub/names/quantization.h"
#include "api/hub/names/text.h"
#include "api/hub/pull/blobs.h"
#include "api/hub/pull/sources.h"
#include "api/hub/store/own_store.h"

namespace ruvllm::hub {
namespace {

std::string file_name_of(const Url& url) {
  const std::string name(base_name(url.path));
  return check_remote_path(name) && name != "manifest.json" ? name : "model.gguf";
}

// Of a file name in a path: the same with another part number.
std::string replace_last(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.rfind(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

struct RemoteFile {
  std::string url;
  std::string name;
};

// The file, or all parts of the split set that it is one of.
std::vector<RemoteFile> files_of(const ModelReference& reference, const std::string& name) {
  const std::optional<ShardName> shard = parse_shard_name(name);
  if (!shard) return {{reference.repository, name}};
  std::vector<RemoteFile> files;
  const std::string here = fmt::format("-{:05}-of-", shard->index);
  for (uint32_t i = 1; i <= shard->count; ++i) {
    const std::string there = fmt::format("-{:05}-of-", i);
    files.push_back(
        {replace_last(reference.repository, here, there), replace_last(name, here, there)});
  }
  return files;
}

// A page that says "log in" is an answer too, but no model.
Status check_is_model(const VerifiedFile& file, const std::string& name) {
  RUVLLM_ASSIGN(const std::string head, read_beginning(file.path, 64));
  if (!lower_case(name).ends_with(".gguf") || head.starts_with("GGUF")) return {};
  ::unlink(file.path.c_str());
  return fail(
      ErrorCode::kCorrupt,
      "{}: what the server sent is no GGUF file, it begins with '{}'; is the address right?", name,
      printable(head, 40));
}

Result<OwnFile> fetch_file(PullContext& context, const OwnStore& store, const RemoteFile& remote,
                           const std::string& sha256) {
  start_file(context, remote.name);
  const std::string key = "url-" + sha256_hex(remote.url);
  RUVLLM_ASSIGN(const FileLock lock, wait_for_lock(context, store.lock_path(key),
                                                   FileLock::Mode::kExclusive, remote.name));
  BlobRequest request{
      .url = remote.url, .what = remote.name, .partial_path = store.partial_path(key)};
  if (!sha256.empty()) {
    const std::optional<uint64_t> size = file_size(store.blob_path(sha256));
    if (size) {
      finish_file(context, *size);
      return OwnFile{remote.name, sha256, *size};
    }
    request.digest = Digest{DigestKind::kSha256, sha256};
  }
  RUVLLM_ASSIGN(const VerifiedFile file, download_blob(context, request));
  RUVLLM_TRY(check_is_model(file, remote.name));
  const std::string blob = store.blob_path(file.digest_hex);
  RUVLLM_TRY(make_folders(blob.substr(0, blob.rfind('/'))));
  RUVLLM_TRY(publish_file(file.path, blob));  // over the same content, if it is there already
  finish_file(context, file.size);
  return OwnFile{remote.name, file.digest_hex, file.size};
}

}  // namespace

Result<PulledModel> pull_url(PullContext& context, const ModelReference& reference) {
  const OwnStore store(context.settings.store_folder);
  RUVLLM_ASSIGN(const Url url, parse_url(reference.repository));
  const std::string name = file_name_of(url);
  RUVLLM_ASSIGN(const FileLock use, wait_for_lock(context, store.use_lock_path(),
                                                  FileLock::Mode::kShared, "the store"));
  PulledModel result;
  const auto known = store.find(reference);
  if (known && reference.sha256.empty()) {
    context.board.note("already here; remove it first to fetch it again");
    result.num_files = 1;
    result.bytes = known->model.bytes;
  } else {
    const std::vector<RemoteFile> files = files_of(reference, name);
    context.board.update(
        [&](PullProgress& progress) { progress.num_files = static_cast<uint32_t>(files.size()); });
    if (files.size() > 1 && !reference.sha256.empty()) {
      return fail(ErrorCode::kInvalidArgument, "{}: one sha256 cannot hold for {} parts", name,
                  files.size());
    }
    OwnManifest manifest{reference.repository, files.front().name, {}};
    for (const RemoteFile& file : files) {
      RUVLLM_ASSIGN(OwnFile fetched, fetch_file(context, store, file, reference.sha256));
      manifest.files.push_back(std::move(fetched));
    }
    RUVLLM_TRY(store.add(reference, manifest));
    result.num_files = static_cast<uint32_t>(files.size());
  }
  RUVLLM_ASSIGN(const KnownModel stored, store.find(reference));
  result.name = stored.model.name;
  result.path = stored.model.path;
  result.bytes = stored.model.bytes;
  return result;
}

}  // namespace ruvllm::hub
