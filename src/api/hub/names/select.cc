#include "api/hub/names/select.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "api/hub/names/quantization.h"
#include "api/hub/names/text.h"

namespace ruvllm::hub {
namespace {

constexpr std::array<std::string_view, 3> kPreferred = {"Q4_K_M", "Q8_0", "F16"};
// What a safetensors model consists of besides its weights.
constexpr std::array<std::string_view, 14> kCompanions = {
    "config.json",         "generation_config.json",
    "tokenizer.json",      "tokenizer_config.json",
    "tokenizer.model",     "special_tokens_map.json",
    "added_tokens.json",   "vocab.json",
    "merges.txt",          "vocab.txt",
    "chat_template.json",  "chat_template.jinja",
    "adapter_config.json", "spiece.model"};

// One GGUF file, or all parts of a split one.
struct GgufSet {
  std::string label;  // quantization; "": the name says none
  std::string path;   // of the file, or of the set ("model.gguf")
  uint32_t num_expected = 1;
  std::vector<RepositoryFile> files;  // sorted by path
  bool complete() const { return files.size() == num_expected; }
};

bool is_text_model(std::string_view path) {
  const std::string name = lower_case(base_name(path));
  return name.ends_with(".gguf") && !name.starts_with("mmproj") &&
         name.find("imatrix") == std::string::npos;
}

// Shortest path first, so that a label means the same file on every machine.
std::vector<GgufSet> gguf_sets(const std::vector<RepositoryFile>& files) {
  std::map<std::string, GgufSet> by_path;
  for (const RepositoryFile& file : files) {
    if (!is_text_model(file.path)) continue;
    const std::optional<ShardName> shard = parse_shard_name(file.path);
    GgufSet& set = by_path[shard ? shard->set : file.path];
    set.path = shard ? shard->set : file.path;
    set.label = quantization_label(set.path);
    set.num_expected = shard ? shard->count : 1;
    set.files.push_back(file);
  }
  std::vector<GgufSet> sets;
  for (auto& [path, set] : by_path) {
    std::ranges::sort(set.files, {}, &RepositoryFile::path);
    sets.push_back(std::move(set));
  }
  std::ranges::sort(sets, [](const GgufSet& a, const GgufSet& b) {
    return std::make_tuple(a.path.size(), a.path) < std::make_tuple(b.path.size(), b.path);
  });
  return sets;
}

bool in_root(std::string_view path) { return path.find('/') == std::string_view::npos; }

// Weights of the usual names; any other only where there are none of those.
std::vector<RepositoryFile> safetensors_weights(const std::vector<RepositoryFile>& files) {
  std::vector<RepositoryFile> usual;
  std::vector<RepositoryFile> others;
  for (const RepositoryFile& file : files) {
    if (!in_root(file.path) || !file.path.ends_with(".safetensors")) continue;
    const std::optional<ShardName> shard = parse_shard_name(file.path);
    const std::string set = shard ? shard->set : file.path;
    const bool is_usual = set == "model.safetensors" || set == "adapter_model.safetensors";
    (is_usual ? usual : others).push_back(file);
  }
  return usual.empty() ? others : usual;
}

Result<Selection> select_safetensors(const std::vector<RepositoryFile>& files,
                                     std::string_view what) {
  Selection selection;
  selection.files = safetensors_weights(files);
  if (selection.files.empty()) {
    return fail(ErrorCode::kNotFound, "{}: there are no safetensors files", what);
  }
  std::map<std::string, std::pair<size_t, size_t>> sets;  // parts here, parts in all
  for (const RepositoryFile& file : selection.files) {
    if (const auto shard = parse_shard_name(file.path)) {
      ++sets[shard->set].first;
      sets[shard->set].second = shard->count;
    }
  }
  for (const auto& [set, parts] : sets) {
    if (parts.first != parts.second) {
      return fail(ErrorCode::kNotFound, "{}: {} of the {} parts of {} are there", what, parts.first,
                  parts.second, set);
    }
  }
  for (const RepositoryFile& file : files) {
    const bool companion =
        in_root(file.path) && (file.path.ends_with(".safetensors.index.json") ||
                               std::ranges::find(kCompanions, file.path) != kCompanions.end());
    if (companion) selection.files.push_back(file);
  }
  return selection;
}

std::string choices(const std::vector<GgufSet>& sets, const std::vector<RepositoryFile>& files) {
  constexpr size_t kMost = 24;
  std::vector<std::string> names;
  for (const GgufSet& set : sets) {
    std::string name = set.label.empty() ? set.path : set.label;
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  if (!safetensors_weights(files).empty()) names.emplace_back("safetensors");
  if (names.empty()) return "there is neither a GGUF nor a safetensors file";
  const std::string more = names.size() > kMost ? ", ..." : "";
  names.resize(std::min(names.size(), kMost));
  return fmt::format("there are: {}{}", printable(fmt::format("{}", fmt::join(names, ", ")), 1000),
                     more);
}

Result<Selection> take_set(const GgufSet& set, const std::vector<GgufSet>& sets,
                           std::string_view what) {
  if (!set.complete()) {
    return fail(ErrorCode::kNotFound, "{}: {} of the {} parts of {} are there", what,
                set.files.size(), set.num_expected, set.path);
  }
  Selection selection;
  const auto first = std::ranges::find(sets, set.label, &GgufSet::label);
  const bool label_means_it = !set.label.empty() && first->path == set.path;
  selection.selector = label_means_it ? set.label : set.path;
  selection.main_path = set.files.front().path;
  selection.files = set.files;
  return selection;
}

// The set that a selector names: by quantization, by path or by file name.
const GgufSet* find_set(const std::vector<GgufSet>& sets, std::string_view selector) {
  const std::string label = upper_case(selector);
  for (const GgufSet& set : sets) {
    if (!set.label.empty() && set.label == label) return &set;
  }
  for (const GgufSet& set : sets) {
    const bool of_file = std::ranges::any_of(set.files, [&](const RepositoryFile& file) {
      return file.path == selector || base_name(file.path) == selector;
    });
    if (of_file || set.path == selector || base_name(set.path) == selector) return &set;
  }
  return nullptr;
}

}  // namespace

Result<Selection> select_files(const std::vector<RepositoryFile>& files, std::string_view selector,
                               std::string_view what) {
  const std::vector<GgufSet> sets = gguf_sets(files);
  if (lower_case(selector) == "safetensors") return select_safetensors(files, what);
  if (!selector.empty()) {
    if (const GgufSet* set = find_set(sets, selector)) return take_set(*set, sets, what);
    return fail(ErrorCode::kNotFound, "{}: no '{}'; {}", what, printable(selector, 80),
                choices(sets, files));
  }
  for (const std::string_view label : kPreferred) {
    const auto set = std::ranges::find(sets, label, &GgufSet::label);
    if (set != sets.end()) return take_set(*set, sets, what);
  }
  if (!safetensors_weights(files).empty()) return select_safetensors(files, what);
  if (sets.size() == 1) return take_set(sets.front(), sets, what);
  return fail(ErrorCode::kNotFound, "{}: {}{}", what, sets.empty() ? "" : "name one of the files; ",
              choices(sets, files));
}

std::vector<Selection> all_selections(const std::vector<RepositoryFile>& files) {
  std::vector<Selection> selections;
  const std::vector<GgufSet> sets = gguf_sets(files);
  for (const GgufSet& set : sets) {
    if (auto selection = take_set(set, sets, "")) selections.push_back(*std::move(selection));
  }
  if (auto selection = select_safetensors(files, "")) {
    if (!selections.empty()) selection->selector = "safetensors";
    selections.push_back(*std::move(selection));
  }
  return selections;
}

}  // namespace ruvllm::hub
