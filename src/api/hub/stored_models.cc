// Looking models up, over all stores.
#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "api/hub/names/reference.h"
#include "api/hub/names/text.h"
#include "api/hub/store/huggingface_cache.h"
#include "api/hub/store/ollama_store.h"
#include "api/hub/store/own_store.h"
#include "api/hub/transfer/files.h"
#include "base/core/edit_distance.h"
#include "base/core/error.h"
#include <ruvllm/hub.h>

namespace ruvllm {
namespace {

using hub::KnownModel;

struct Stores {
  explicit Stores(const HubSettings& settings)
      : cache(settings.cache_folder), own(settings.store_folder), ollama(settings.ollama_folder) {}

  std::vector<KnownModel> all() const {
    std::vector<KnownModel> models = cache.models();
    std::ranges::move(own.models(), std::back_inserter(models));
    // A model that both have is shown once: ours can be removed.
    std::set<std::string> names;
    for (const KnownModel& known : models) names.insert(known.model.name);
    for (KnownModel& known : ollama.models()) {
      if (!names.contains(known.model.name)) models.push_back(std::move(known));
    }
    std::ranges::sort(models, {}, [](const KnownModel& known) { return known.model.name; });
    return models;
  }

  Result<KnownModel> find(const ModelReference& reference) const {
    if (reference.source == ModelSource::kHuggingFace) return cache.find(reference);
    auto known = own.find(reference);
    if (known || reference.source == ModelSource::kUrl) return known;
    auto installed = ollama.find(reference);
    // A damaged manifest of ours is the thing to tell, not that Ollama has none.
    if (!installed && known.error().code() != ErrorCode::kNotFound) return known;
    return installed;
  }

  hub::HuggingFaceCache cache;
  hub::OwnStore own;
  hub::OllamaStore ollama;
};

std::string before_tag(const std::string& name) { return name.substr(0, name.find(':')); }

// Near by spelling, of the same repository, or one holds the other; the nearest first.
std::vector<std::string> near_names(const std::string& typed,
                                    const std::vector<KnownModel>& models) {
  constexpr size_t kMost = 3;
  const std::string wanted = hub::lower_case(typed);
  const auto reference = parse_model_reference(wanted);
  const std::string family = reference ? before_tag(hub::short_name(*reference)) : wanted;
  std::vector<std::pair<size_t, std::string>> found;
  for (const KnownModel& known : models) {
    size_t best = known.model.name.size();
    bool holds = hub::lower_case(before_tag(hub::short_name(known.reference))) == family;
    for (const std::string& name : {known.model.name, hub::short_name(known.reference)}) {
      const std::string lower = hub::lower_case(name);
      best = std::min(best, edit_distance(wanted, lower));
      holds = holds || lower.find(wanted) != std::string::npos;
    }
    if (holds || best <= std::max<size_t>(2, typed.size() / 4)) {
      found.emplace_back(best, known.model.name);
    }
  }
  std::ranges::sort(found);
  std::vector<std::string> names;
  for (const auto& [distance, name] : found) names.push_back(name);
  names.resize(std::min(names.size(), kMost));
  return names;
}

std::string pull_advice(const ModelReference& reference, const std::vector<std::string>& near) {
  const std::string advice = fmt::format("`ruvllm pull {}` fetches it", reference.name());
  if (near.empty()) return advice;
  return fmt::format("here are: {}; {}", fmt::join(near, ", "), advice);
}

}  // namespace

std::vector<StoredModel> list_models(const HubSettings& settings) {
  std::vector<StoredModel> models;
  for (KnownModel& known : Stores(settings).all()) models.push_back(std::move(known.model));
  return models;
}

Result<StoredModel> find_stored_model(const std::string& name, const HubSettings& settings) {
  RUVLLM_ASSIGN(const ModelReference reference, parse_model_reference(name));
  const Stores stores(settings);
  auto known = stores.find(reference);
  if (known) return std::move(known->model);
  const std::vector<KnownModel> all = stores.all();
  for (const KnownModel& other : all) {
    if (hub::short_name(other.reference) == name) return other.model;
  }
  if (known.error().code() != ErrorCode::kNotFound) return std::unexpected(known.error());
  return fail(ErrorCode::kNotFound, "{}: no such model file, and no model of that name is here; {}",
              hub::printable(name), pull_advice(reference, near_names(name, all)));
}

Result<std::string> resolve_model(const std::string& path_or_name) {
  if (hub::file_exists(path_or_name)) return path_or_name;
  if (hub::looks_like_path(path_or_name)) {
    return fail(
        ErrorCode::kNotFound,
        "{}: no such model file; check the path (`ruvllm list` shows the models with a name)",
        hub::printable(path_or_name, 1000));
  }
  RUVLLM_ASSIGN(const HubSettings settings, load_hub_settings());
  RUVLLM_ASSIGN(const StoredModel model, find_stored_model(path_or_name, settings));
  return model.path;
}

Result<RemovedModel> remove_model(const StoredModel& model, const HubSettings& settings) {
  if (!model.removable) {
    return fail(ErrorCode::kUnsupported,
                "{}: it belongs to the installed Ollama; use its `ollama rm`", model.name);
  }
  RUVLLM_ASSIGN(const ModelReference reference, parse_model_reference(model.name));
  const Stores stores(settings);
  RemovedModel removed{model.name, 0};
  if (reference.source == ModelSource::kHuggingFace) {
    RUVLLM_ASSIGN(removed.bytes_freed, stores.cache.remove(reference));
  } else {
    RUVLLM_ASSIGN(removed.bytes_freed, stores.own.remove(reference));
  }
  return removed;
}

}  // namespace ruvllm
