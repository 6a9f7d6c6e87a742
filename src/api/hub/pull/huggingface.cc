// The Hub's API as its own clients use it: GET /api/models/REPO/revision/REV gives the commit,
// GET /api/models/REPO/tree/COMMIT the files with size and hash, GET /REPO/resolve/COMMIT/PATH a
// file, by way of redirects to where large files are kept.
#include "api/hub/names/select.h"
#include "api/hub/names/text.h"
#include "api/hub/pull/blobs.h"
#include "api/hub/pull/hub_answers.h"
#include "api/hub/pull/sources.h"
#include "api/hub/store/huggingface_cache.h"
#include "api/hub/store/ollama_store.h"
#include "api/hub/store/own_store.h"
#include "api/hub/transfer/fetch.h"

namespace ruvllm::hub {
namespace {

constexpr int kMaxPages = 64;

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
    return read_commit(document.body, what, context_.settings.endpoint);
  }

  Result<std::vector<RepositoryFile>> files(const std::string& commit) {
    const std::string what = "list of files of " + repository_;
    std::vector<RepositoryFile> files;
    std::string url = api_ + "/tree/" + commit + "?recursive=true";
    for (int page = 0; !url.empty(); ++page) {
      if (page == kMaxPages) return fail(ErrorCode::kCorrupt, "{}: it does not end", what);
      RUVLLM_ASSIGN(const Document document, get(url, what));
      RUVLLM_TRY(read_file_list(document.body, what, files));
      RUVLLM_ASSIGN(url,
                    read_next_page(document.head.header("link"), what, context_.settings.endpoint));
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
  RUVLLM_ASSIGN(result.bytes, total_size(selection.files, reference.repository));
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
