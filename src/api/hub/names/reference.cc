#include "api/hub/names/reference.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "api/hub/names/text.h"
#include "base/core/error.h"

namespace ruvllm {
namespace {

using hub::split;

constexpr std::string_view kHelp =
    "models are called hf:ORG/REPO[:QUANTIZATION][@REVISION], ollama:NAME[:TAG] or https://...";
constexpr size_t kMaxNameBytes = 2048;
constexpr size_t kMaxRepositoryPartBytes = 96;  // as at the Hugging Face Hub

std::unexpected<Error> bad_name(std::string_view text, std::string_view reason) {
  return fail(ErrorCode::kInvalidArgument, "model name '{}': {}; {}", hub::printable(text), reason,
              kHelp);
}

bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '_' || c == '.';
}

// Letters, digits, '-', '_' and '.', but neither ".." nor "--", which the cache's folder names use.
bool is_repository_part(std::string_view part) {
  return !part.empty() && part.size() <= kMaxRepositoryPartBytes &&
         std::ranges::all_of(part, is_name_character) &&
         part.find("..") == std::string_view::npos && part.find("--") == std::string_view::npos &&
         part.front() != '.' && part.front() != '-' && part.back() != '.' && part.back() != '-';
}

bool is_revision(std::string_view revision) {
  const bool plain = std::ranges::all_of(
      revision, [](char c) { return is_name_character(c) || c == '/' || c == '+'; });
  return plain && hub::check_remote_path(revision).has_value();
}

Result<ModelReference> parse_hugging_face(std::string_view whole, std::string_view text) {
  ModelReference reference;
  const size_t at = text.rfind('@');
  if (at != std::string_view::npos) {
    reference.revision = text.substr(at + 1);
    if (!is_revision(reference.revision)) return bad_name(whole, "this is no revision after '@'");
    text = text.substr(0, at);
  }
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    reference.selector = text.substr(colon + 1);
    if (!hub::check_remote_path(reference.selector)) {
      return bad_name(whole, "after ':' comes a quantization or a file name");
    }
    text = text.substr(0, colon);
  }
  const std::vector<std::string> parts = split(text, '/');
  if (parts.size() > 2 || !std::ranges::all_of(parts, is_repository_part)) {
    return bad_name(whole, "this is no repository; it has the form ORG/REPO");
  }
  reference.repository = text;
  return reference;
}

Result<ModelReference> parse_ollama(std::string_view whole, std::string_view text) {
  ModelReference reference;
  reference.source = ModelSource::kOllama;
  const size_t colon = text.find(':');
  reference.selector = colon == std::string_view::npos ? "latest" : text.substr(colon + 1);
  text = text.substr(0, colon);
  const std::vector<std::string> parts = split(text, '/');
  const auto is_part = [](std::string_view part) {
    return is_repository_part(part) || (part.size() == 1 && is_name_character(part.front()));
  };
  if (parts.size() > 2 || !std::ranges::all_of(parts, is_part)) {
    return bad_name(whole, "this is no name of an Ollama model; it has the form [USER/]NAME");
  }
  if (!is_repository_part(reference.selector)) return bad_name(whole, "this is no tag after ':'");
  reference.repository = parts.size() == 1 ? "library/" + parts[0] : std::string(text);
  return reference;
}

// "https://huggingface.co/ORG/REPO[/(resolve|blob)/REVISION/FILE]"; nothing for other pages of it.
std::optional<ModelReference> parse_hub_page(std::string_view path) {
  path = path.substr(0, path.find_first_of("?#"));
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::vector<std::string> parts = split(path, '/');
  if (parts.size() < 2 || !is_repository_part(parts[0]) || !is_repository_part(parts[1])) {
    return std::nullopt;
  }
  ModelReference reference;
  reference.repository = parts[0] + "/" + parts[1];
  if (parts.size() == 2) return reference;
  if (parts.size() < 5 || (parts[2] != "resolve" && parts[2] != "blob")) return std::nullopt;
  const size_t prefix = reference.repository.size() + parts[2].size() + parts[3].size() + 3;
  reference.revision = parts[3] == "main" ? "" : parts[3];
  reference.selector = path.substr(prefix);
  if (!is_revision(parts[3]) || !hub::check_remote_path(reference.selector)) return std::nullopt;
  return reference;
}

Result<ModelReference> parse_url(std::string_view text) {
  for (const std::string_view site : {"https://huggingface.co/", "https://hf.co/"}) {
    if (!text.starts_with(site)) continue;
    if (auto reference = parse_hub_page(text.substr(site.size()))) return *std::move(reference);
  }
  ModelReference reference;
  reference.source = ModelSource::kUrl;
  const size_t hash = text.find('#');
  reference.repository = text.substr(0, hash);
  if (hash != std::string_view::npos) {
    const std::string_view fragment = text.substr(hash + 1);
    constexpr std::string_view kPrefix = "sha256=";
    reference.sha256 = hub::lower_case(fragment.substr(std::min(kPrefix.size(), fragment.size())));
    if (!fragment.starts_with(kPrefix) || !hub::is_hex(reference.sha256, 64)) {
      return bad_name(text, "after '#' comes sha256= and 64 hex digits");
    }
  }
  return reference;
}

}  // namespace

std::string ModelReference::name() const {
  switch (source) {
    case ModelSource::kHuggingFace:
      return "hf:" + hub::short_name(*this);
    case ModelSource::kOllama:
      return "ollama:" + hub::short_name(*this);
    case ModelSource::kUrl:
      break;
  }
  return repository;
}

Result<ModelReference> parse_model_reference(std::string_view text) {
  if (text.empty()) return bad_name(text, "it is empty");
  if (text.size() > kMaxNameBytes) return bad_name(text, "it is too long");
  const bool plain = std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f;
  });
  if (!plain) return bad_name(text, "it holds a space or a control character");
  const auto rest = [&](std::string_view prefix) { return text.substr(prefix.size()); };
  if (text.starts_with("https://") || text.starts_with("http://")) return parse_url(text);
  if (text.starts_with("hf:")) return parse_hugging_face(text, rest("hf:"));
  if (text.starts_with("hf.co/")) return parse_hugging_face(text, rest("hf.co/"));
  if (text.starts_with("ollama:")) return parse_ollama(text, rest("ollama:"));
  if (text.find("://") != std::string_view::npos) return bad_name(text, "unknown scheme");
  const std::string_view before_tag = text.substr(0, text.find(':'));
  if (before_tag.find('/') != std::string_view::npos) return parse_hugging_face(text, text);
  return parse_ollama(text, text);
}

namespace hub {

std::string short_name(const ModelReference& reference) {
  if (reference.source == ModelSource::kUrl) return reference.repository;
  constexpr std::string_view kLibrary = "library/";
  std::string name = reference.repository;
  if (reference.source == ModelSource::kOllama && name.starts_with(kLibrary)) {
    name.erase(0, kLibrary.size());
  }
  if (!reference.selector.empty()) name += ":" + reference.selector;
  if (!reference.revision.empty()) name += "@" + reference.revision;
  return name;
}

bool looks_like_path(std::string_view text) {
  for (const std::string_view scheme : {"hf:", "hf.co/", "ollama:", "https://", "http://"}) {
    if (text.starts_with(scheme)) return false;
  }
  return text.starts_with('/') || text.starts_with('.') || text.starts_with('~') ||
         text.ends_with('/') ||
         (text.find(':') == std::string_view::npos &&
          (text.ends_with(".gguf") || text.ends_with(".safetensors")));
}

}  // namespace hub
}  // namespace ruvllm
