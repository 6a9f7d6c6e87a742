// What servers answer and what lies in the stores: manifests of Ollama and of our own, commits,
// lists of files and addresses of Hugging Face, and names of models.
//
// The first byte says which; the rest is the text. Whatever it is, reading gives values that are
// safe to use as file names and sizes, or an error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "api/hub/names/select.h"
#include "api/hub/names/text.h"
#include "api/hub/net/url.h"
#include "api/hub/pull/hub_answers.h"
#include "api/hub/store/manifest.h"
#include "base/core/check.h"
#include <ruvllm/hub.h>

namespace ruvllm::hub {
namespace {

const std::string kName = "fuzz";
const std::string kEndpoint = "https://hub.example";

void check_error(const Error& error) {
  RUVLLM_CHECK(!error.message().empty() && error.message().size() < 4096);
  for (const char c : error.message()) RUVLLM_CHECK(static_cast<unsigned char>(c) >= 0x20);
}

void check_path(const std::string& path) {
  RUVLLM_CHECK(check_remote_path(path).has_value());
  RUVLLM_CHECK(!path.empty() && path.front() != '/' && path.find('\0') == std::string::npos);
}

void read_ollama(const std::string& text) {
  const auto layers = parse_ollama_manifest(text, kName);
  if (!layers) return check_error(layers.error());
  for (const OllamaLayer& layer : *layers) {
    RUVLLM_CHECK(layer.digest.kind == DigestKind::kSha256 && is_hex(layer.digest.hex, 64));
    const std::string file = ollama_layer_file(layer.media_type);
    if (!file.empty()) check_path(file);
  }
}

void read_own(const std::string& text) {
  const auto manifest = parse_own_manifest(text, kName);
  if (!manifest) return check_error(manifest.error());
  RUVLLM_CHECK(!manifest->files.empty());
  for (const OwnFile& file : manifest->files) {
    check_path(file.path);
    RUVLLM_CHECK(is_hex(file.sha256, 64));
  }
  const auto again = parse_own_manifest(format_own_manifest(*manifest), kName);
  RUVLLM_CHECK(again.has_value() && again->files.size() == manifest->files.size());
}

void read_list(const std::string& text) {
  std::vector<RepositoryFile> files;
  if (const Status read = read_file_list(text, kName, files); !read) {
    return check_error(read.error());
  }
  for (const RepositoryFile& file : files) {
    check_path(file.path);
    RUVLLM_CHECK(parse_digest(file.blob).has_value());
  }
  for (const char* selector : {"", "Q4_K_M", "safetensors", "model.gguf"}) {
    const auto selection = select_files(files, selector, kName);
    if (!selection) {
      check_error(selection.error());
      continue;
    }
    RUVLLM_CHECK(!selection->files.empty());
    for (const RepositoryFile& chosen : selection->files) {
      RUVLLM_CHECK(std::ranges::find(files, chosen.path, &RepositoryFile::path) != files.end());
    }
  }
  for (const Selection& selection : all_selections(files)) {
    RUVLLM_CHECK(!selection.files.empty());
  }
}

void read_small_answers(char kind, const std::string& text) {
  if (kind == 'c') {
    const auto commit = read_commit(text, kName, kEndpoint);
    if (!commit) return check_error(commit.error());
    RUVLLM_CHECK(is_hex(*commit, 40));
  } else {
    const auto next = read_next_page(text, kName, kEndpoint);
    if (!next) return check_error(next.error());
    RUVLLM_CHECK(next->empty() || parse_url(*next)->same_origin(*parse_url(kEndpoint)));
  }
}

// The one spelling of a name means the same model.
void read_reference(const std::string& text) {
  const auto reference = parse_model_reference(text);
  if (!reference) return check_error(reference.error());
  const auto again = parse_model_reference(reference->name());
  RUVLLM_CHECK(again.has_value() && again->name() == reference->name());
}

}  // namespace
}  // namespace ruvllm::hub

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm::hub;
  if (size == 0) return 0;
  const char kind = static_cast<char>(data[0]);
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (kind == 'o') read_ollama(text);
  if (kind == 'm') read_own(text);
  if (kind == 'h') read_list(text);
  if (kind == 'c' || kind == 'l') read_small_answers(kind, text);
  if (kind == 'r') read_reference(text);
  return 0;
}
