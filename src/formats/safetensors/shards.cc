// SafetensorsSet: which files of a folder hold the weights.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "formats/gguf/types.h"
#include "formats/json/json_document.h"
#include "formats/safetensors/safetensors.h"

namespace ruvllm::formats {
namespace {

constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr size_t kMaxIndexBytes = size_t{100} << 20;
constexpr size_t kMaxShards = 10'000;

bool exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

std::string in_folder(const std::string& folder, std::string_view name) {
  return folder.ends_with('/') ? fmt::format("{}{}", folder, name)
                               : fmt::format("{}/{}", folder, name);
}

// A file of the folder itself: nothing that leads elsewhere.
bool is_plain_name(std::string_view name) {
  return name.size() > std::string_view(".safetensors").size() && name.ends_with(".safetensors") &&
         !name.starts_with('.') &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

std::unexpected<Error> no_weights(const std::string& folder) {
  std::string_view remedy = "download the model's .safetensors files into it";
  if (exists(in_folder(folder, "pytorch_model.bin")) ||
      exists(in_folder(folder, "pytorch_model.bin.index.json"))) {
    remedy = "its weights are pickled (pytorch_model.bin), which can run code: save them as "
             "safetensors first";
  } else if (exists(in_folder(folder, "consolidated.safetensors"))) {
    remedy = "it holds Mistral's own format: download the Hugging Face format of the model";
  }
  return fail(ErrorCode::kNotFound, "{}: neither {} nor {} is there; {}", folder, kSingle, kIndex,
              remedy);
}

// Tensor name -> file name, as the index has it.
using WeightMap = std::map<std::string, std::string>;

Result<WeightMap> read_index(const std::string& path) {
  RUVLLM_ASSIGN(const nlohmann::json index, read_json_file(path, kMaxIndexBytes));
  const auto found = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || found == index.end() || !found->is_object()) {
    return fail(ErrorCode::kCorrupt,
                "{}: field 'weight_map' is missing or no object; download the file again", path);
  }
  WeightMap map;
  for (const auto& [tensor, file] : found->items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>())) {
      return fail(ErrorCode::kCorrupt,
                  "{}: field 'weight_map': tensor {} lies in {}, which is not the name of a "
                  ".safetensors file of this folder",
                  path, formats::quoted(tensor),
                  file.is_string() ? formats::quoted(file.get_ref<const std::string&>()) : "no file name");
    }
    map.emplace(tensor, file.get<std::string>());
  }
  return map;
}

}  // namespace

void SafetensorsSet::add(SafetensorsFile file) {
  tensors_.insert(tensors_.end(), file.tensors().begin(), file.tensors().end());
  for (MappedFile& mapping : std::move(file).take_mapping()) {
    mappings_.push_back(std::move(mapping));
  }
}

Status SafetensorsSet::index(const std::string& folder) {
  std::ranges::sort(tensors_, {}, &SafeTensor::name);
  const auto twin = std::ranges::adjacent_find(tensors_, {}, &SafeTensor::name);
  if (twin == tensors_.end()) return {};
  return fail(ErrorCode::kCorrupt, "{}: tensor {} is in {} and again in {}; download them again",
              folder, formats::quoted(twin->name), path_of(*twin), path_of(*std::next(twin)));
}

Result<SafetensorsSet> SafetensorsSet::open(const std::string& folder) {
  SafetensorsSet set;
  set.folder_ = folder;
  const std::string index_path = in_folder(folder, kIndex);
  const std::string single_path = in_folder(folder, kSingle);
  if (!exists(index_path)) {
    if (!exists(single_path)) return no_weights(folder);
    RUVLLM_ASSIGN(SafetensorsFile file, SafetensorsFile::open(single_path));
    set.add(std::move(file));
    return set;
  }
  RUVLLM_ASSIGN(const WeightMap map, read_index(index_path));
  std::set<std::string> names;
  for (const auto& [tensor, name] : map) names.insert(name);
  if (names.size() > kMaxShards) {
    return fail(ErrorCode::kCorrupt, "{}: field 'weight_map' names {} files; at most {} are read",
                index_path, names.size(), kMaxShards);
  }
  for (const std::string& name : names) {
    Result<SafetensorsFile> file = SafetensorsFile::open(in_folder(folder, name));
    if (!file) {
      return std::unexpected(std::move(file).error().with_context(
          fmt::format("a file that {} names", index_path)));
    }
    set.add(*std::move(file));
  }
  RUVLLM_TRY(set.index(folder));
  for (const auto& [tensor, name] : map) {
    const SafeTensor* found = set.find(tensor);
    if (found != nullptr && set.path_of(*found) == in_folder(folder, name)) continue;
    return fail(ErrorCode::kCorrupt,
                "{}: field 'weight_map': tensor {} is not in {}; download both files again",
                index_path, formats::quoted(tensor), name);
  }
  return set;
}

}  // namespace ruvllm::formats
