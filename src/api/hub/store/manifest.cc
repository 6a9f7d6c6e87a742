#include "api/hub/store/manifest.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/hub/names/text.h"

namespace ruvllm::hub {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxFiles = 4096;
constexpr int kManifestVersion = 1;
constexpr std::string_view kLayerPrefix = "application/vnd.ollama.image.";
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kLayerFiles = {{
    {"model", "model.gguf"},
    {"adapter", "adapter.gguf"},
    {"projector", "projector.gguf"},
    {"template", "template.txt"},
    {"system", "system.txt"},
    {"params", "params.json"},
    {"messages", "messages.json"},
    {"license", "license.txt"},
}};

std::optional<std::string> string_at(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<uint64_t> size_at(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_number_unsigned()) {
    return std::nullopt;
  }
  return found->get<uint64_t>();
}

std::unexpected<Error> bad_manifest(std::string_view what, std::string_view reason) {
  return fail(ErrorCode::kCorrupt, "{}: not a manifest: {}", what, reason);
}

}  // namespace

Result<std::vector<OllamaLayer>> parse_ollama_manifest(const std::string& text,
                                                       std::string_view what) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return bad_manifest(what, fmt::format("it begins with '{}'", printable(text, 40)));
  }
  const auto layers = json.find("layers");
  if (layers == json.end() || !layers->is_array() || layers->size() > kMaxFiles) {
    return bad_manifest(what, "'layers' is missing or no list");
  }
  std::vector<OllamaLayer> out;
  for (const Json& layer : *layers) {
    const auto media_type = string_at(layer, "mediaType");
    const auto digest_text = string_at(layer, "digest");
    const auto size = size_at(layer, "size");
    if (!media_type || !digest_text || !size) {
      return bad_manifest(what,
                          fmt::format("layer {} lacks mediaType, digest or size", out.size()));
    }
    const auto digest = parse_registry_digest(*digest_text);
    if (!digest) {
      return bad_manifest(what,
                          fmt::format("the digest of layer {} is '{}'; expected sha256: and 64 "
                                      "hex digits",
                                      out.size(), printable(*digest_text, 80)));
    }
    out.push_back({*media_type, *digest, *size});
  }
  return out;
}

std::string ollama_layer_file(std::string_view media_type) {
  if (!media_type.starts_with(kLayerPrefix)) return "";
  const std::string_view kind = media_type.substr(kLayerPrefix.size());
  const auto found =
      std::ranges::find(kLayerFiles, kind, &decltype(kLayerFiles)::value_type::first);
  return found == kLayerFiles.end() ? "" : std::string(found->second);
}

std::string format_own_manifest(const OwnManifest& manifest) {
  Json files = Json::array();
  for (const OwnFile& file : manifest.files) {
    files.push_back({{"path", file.path}, {"sha256", file.sha256}, {"size", file.size}});
  }
  return Json{{"version", kManifestVersion},
              {"name", manifest.name},
              {"main", manifest.main_path},
              {"files", files}}
             .dump(2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

Result<OwnManifest> parse_own_manifest(const std::string& text, std::string_view what) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return bad_manifest(what, "it is no JSON object");
  if (size_at(json, "version") != kManifestVersion) {
    return bad_manifest(what, "its version is not 1; a newer ruvllm may have written it");
  }
  const auto name = string_at(json, "name");
  const auto main_path = string_at(json, "main");
  const auto files = json.find("files");
  if (!name || !main_path || files == json.end() || !files->is_array() ||
      files->size() > kMaxFiles) {
    return bad_manifest(what, "name, main or files is missing");
  }
  OwnManifest manifest{*name, *main_path, {}};
  for (const Json& entry : *files) {
    const auto path = string_at(entry, "path");
    const auto sha256 = string_at(entry, "sha256");
    const auto size = size_at(entry, "size");
    if (!path || !check_remote_path(*path) || !sha256 || !is_hex(*sha256, 64) || !size) {
      return bad_manifest(what, fmt::format("file {} is not right", manifest.files.size()));
    }
    manifest.files.push_back({*path, *sha256, *size});
  }
  if (std::ranges::find(manifest.files, *main_path, &OwnFile::path) == manifest.files.end()) {
    return bad_manifest(what, "its main file is not among its files");
  }
  return manifest;
}

}  // namespace ruvllm::hub
