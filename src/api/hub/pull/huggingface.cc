// The Hub's API as its own clients use it: GET /api/models/REPO/revision/REV gives the commit,
// GET /api/models/REPO/tree/COMMIT the files with size and hash, GET /REPO/resolve/COMMIT/PATH a
// file, by way of redirects to where large files are kept.
#include <nlohmann/json.hpp>

#include "api/hub/names/select.h"
#include "api/hub/names/text.h"
#include "api/hub/net/url.h"
#include "api/hub/pull/blobs.h"
#include "api/hub/pull/sources.h"
#include "api/hub/store/huggingface_cache.h"
#include "api/hub/store/ollama_store.h"
#include "api/hub/store/own_store.h"
#include "api/hub/transfer/fetch.h"

namespace ruvllm::hub {
namespace {

using Json = nlohmann::json;

constexpr int kMaxPages = 64;
constexpr size_t kMaxFiles = 100'000;

const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string string_member(const Json& object, const char* name) {
  const Json* value = member(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

class HubClient {
 public:
  HubClient(PullContext& context, const ModelReference& reference)
      : context_(context),
        repository_(reference.repository),
        api_(context.settings.endpoint + "/api/models/" + reference.repository) {}

  Result<std::string> commit(const std::string& revision) {
    const std::string what = repository_ + "@" + revision;
    RUVLLM_ASSIGN(const Document document,
                  get(api_ + "/revision/" + encode_url_component(revision), what));
    RUVLLM_ASSIGN(const Json json, parse_json_document(document, what));
    std::string commit = string_member(json, "sha");
    if (!is_hex(commit, 40)) {
      return fail(ErrorCode::kCorrupt, "{}: the server's answer names no commit; is {} a Hub?",
                  what, context_.settings.endpoint);
    }
    return commit;
  }

  Result<std::vector<RepositoryFile>> files(const std::string& commit) {
    const std::string what = "list of files of " + repository_;
    std::vector<RepositoryFile> files;
    std::string url = api_ + "/tree/" + commit + "?recursive=true";
    for (int page = 0; !url.empty(); ++page) {
      if (page == kMaxPages) return fail(ErrorCode::kCorrupt, "{}: it does not end", what);
      RUVLLM_ASSIGN(const Document document, get(url, what));
      RUVLLM_ASSIGN(const Json json, parse_json_document(document, what));
      RUVLLM_TRY(read_page(json, what, files));
      RUVLLM_ASSIGN(url, next_page(document.head, what));
    }
    return files;
  }

 private:
  // Slashes of a branch name are part of it.
  static std::string encode_url_component(const std::string& text) {
    std::string out = encode_url_path(text);
    for (size_t at = out.find('/'); at != std::string::npos; at = out.find('/', at)) {
      out.replace(at, 1, "%2F");
    }
    return out;
  }

  Result<Document> get(const std::string& url, const std::string& what) {
    return fetch_document(
        context_, {.url = url, .accept = "application/json", .token = context_.settings.token},
        what);
  }

  static Status read_page(const Json& json, const std::string& what,
                          std::vector<RepositoryFile>& files) {
    if (!json.is_array() || files.size() + json.size() > kMaxFiles) {
      return fail(ErrorCode::kCorrupt, "{}: the server's answer is no list of files", what);
    }
    for (const Json& entry : json) {
      if (string_member(entry, "type") != "file") continue;
      RepositoryFile file{string_member(entry, "path"), 0, string_member(entry, "oid")};
      if (Status good = check_remote_path(file.path); !good) {
        return std::unexpected(std::move(good).error().with_context(what));
      }
      const Json* large = member(entry, "lfs");
      const bool is_large = large != nullptr && large->is_object();
      if (is_large) file.blob = string_member(*large, "oid");
      const Json* size = member(is_large ? *large : entry, "size");
      if (size == nullptr || !size->is_number_unsigned() || !parse_digest(file.blob)) {
        return fail(ErrorCode::kCorrupt, "{}: size or hash of {} is missing or wrong", what,
                    printable(file.path));
      }
      file.size = size->get<uint64_t>();
      files.push_back(std::move(file));
    }
    return {};
  }

  // Of 'Link: <https://...>; rel="next"'; "": this was the last.
  Result<std::string> next_page(const ResponseHead& head, const std::string& what) {
    const std::string link = head.header("link");
    const size_t end = link.find('>');
    if (!link.starts_with('<') || end == std::string::npos ||
        link.find("rel=\"next\"", end) == std::string::npos) {
      return "";
    }
    RUVLLM_ASSIGN(const Url next, parse_url(link.substr(1, end - 1)));
    RUVLLM_ASSIGN(const Url endpoint, parse_url(context_.settings.endpoint));
    if (!next.same_origin(endpoint)) {
      return fail(ErrorCode::kUnavailable, "{}: it goes on at {}, another server; refused", what,
                  printable(next.host));
    }
    return next.text;
  }

  PullContext& context_;
  std::string repository_;
  std::string api_;
};

Status fetch_files(PullContext& context, const HuggingFaceCache& cache,
                   const ModelReference& reference, const std::string& commit,
                   const std::vector<RepositoryFile>& files) {
  const OwnStore own(context.settings.store_folder);
  const OllamaStore ollama(context.settings.ollama_folder);
  const std::string base =
      context.settings.endpoint + "/" + reference.repository + "/resolve/" + commit + "/";
  for (const RepositoryFile& file : files) {
    BlobPlace place{cache.blob_path(reference.repository, file.blob),
                    cache.lock_path(reference.repository, file.blob),
                    {own.blob_path(file.blob), ollama.blob_path(file.blob)}};
    RUVLLM_TRY(ensure_blob(context,
                           {.url = base + encode_url_path(file.path),
                            .token = context.settings.token,
                            .what = file.path,
                            .size = file.size,
                            .digest = parse_digest(file.blob),
                            .partial_path = place.path + ".ruvllm.incomplete"},
                           place));
  }
  return {};
}

}  // namespace

Result<PulledModel> pull_hugging_face(PullContext& context, const ModelReference& reference) {
  const HuggingFaceCache cache(context.settings.cache_folder);
  const std::string revision = reference.revision.empty() ? "main" : reference.revision;
  RUVLLM_ASSIGN(const FileLock use,
                wait_for_lock(context, cache.use_lock_path(reference.repository),
                              FileLock::Mode::kShared, reference.repository));
  HubClient hub(context, reference);
  context.board.set_activity("asking " + context.settings.endpoint);
  RUVLLM_ASSIGN(const std::string commit, hub.commit(revision));
  RUVLLM_ASSIGN(const auto listing, hub.files(commit));
  RUVLLM_ASSIGN(const Selection selection,
                select_files(listing, reference.selector, reference.repository));
  PulledModel result;
  for (const RepositoryFile& file : selection.files) result.bytes += file.size;
  result.num_files = static_cast<uint32_t>(selection.files.size());
  context.board.update([&](PullProgress& progress) {
    progress.num_files = result.num_files;
    progress.bytes_total = result.bytes;
  });
  RUVLLM_TRY(fetch_files(context, cache, reference, commit, selection.files));
  RUVLLM_TRY(cache.add_snapshot(reference.repository, revision, commit, selection.files));
  ModelReference exact = reference;
  exact.selector = selection.selector;
  if (revision == "main") exact.revision.clear();
  result.name = exact.name();
  result.revision = commit;
  result.path = cache.snapshot_folder(reference.repository, commit);
  if (!selection.main_path.empty()) result.path += "/" + selection.main_path;
  return result;
}

}  // namespace ruvllm::hub
