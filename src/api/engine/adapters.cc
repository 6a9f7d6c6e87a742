// Adapters of an engine: loading by name, and the set that a request uses.
#include "adapters/files/loader.h"
#include "api/engine/engine_impl.h"

namespace ruvllm {
namespace {

AdapterInfo describe(const adapters::AdapterRegistry::Entry& entry) {
  return {entry.adapter->name(), entry.generation, static_cast<uint32_t>(entry.adapter->max_rank()),
          entry.adapter->bytes()};
}

}  // namespace

Result<std::shared_ptr<const adapters::AdapterSet>> Engine::Impl::adapter_set(
    const std::optional<std::vector<AdapterUse>>& uses) const {
  if (!uses) return default_adapters;
  if (uses->empty()) return nullptr;
  std::vector<adapters::ScaledAdapter> scaled;
  for (const AdapterUse& use : *uses) {
    RUVLLM_ASSIGN(adapters::AdapterRegistry::Entry entry, registry.find(use.name));
    scaled.push_back({std::move(entry.adapter), use.scale});
  }
  return adapters::AdapterSet::create(std::move(scaled));
}

std::shared_ptr<api::LearnedUsers> Engine::Impl::learned_users() const {
  const std::lock_guard lock(learned_mutex);
  return learned;
}

void Engine::Impl::set_learned_users(std::shared_ptr<api::LearnedUsers> users) {
  const std::lock_guard lock(learned_mutex);
  learned = std::move(users);
}

Result<ChosenAdapters> Engine::Impl::choose_adapters(
    const std::optional<std::vector<AdapterUse>>& uses, const std::string& user) const {
  ChosenAdapters chosen;
  chosen.user = user;
  const std::shared_ptr<api::LearnedUsers> users = learned_users();
  std::optional<std::vector<AdapterUse>> lora = uses;
  if (users != nullptr && lora) {
    for (auto use = lora->begin(); use != lora->end();) {
      bool is_user = false;
      if (!registry.find(use->name)) {
        RUVLLM_ASSIGN(is_user, users->knows(use->name));
      }
      if (!is_user) {
        ++use;
        continue;
      }
      if (use->scale != 1.0f || (!chosen.user.empty() && chosen.user != use->name)) {
        return fail(ErrorCode::kInvalidArgument,
                    "'{}' names a user's learned state: a request has one user's, at scale 1",
                    use->name);
      }
      chosen.user = use->name;
      use = lora->erase(use);
    }
  }
  RUVLLM_ASSIGN(chosen.lora, adapter_set(lora));
  if (chosen.user.empty()) return chosen;
  if (users == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "a request of user '{}', but nobody learns for this engine; open a Sona over it",
                chosen.user);
  }
  RUVLLM_ASSIGN(chosen.use, users->use(chosen.user));
  chosen.learned = users;
  return chosen;
}

Status Engine::Impl::load_default_adapters(const std::vector<AdapterSource>& sources) {
  if (sources.empty()) return {};
  std::vector<adapters::ScaledAdapter> scaled;
  for (const AdapterSource& source : sources) {
    RUVLLM_ASSIGN(auto adapter,
                  adapters::load_adapter(source.path, source.name, model->config().lora_base()));
    scaled.push_back({registry.put(std::move(adapter)).adapter, source.scale});
  }
  RUVLLM_ASSIGN(default_adapters, adapters::AdapterSet::create(std::move(scaled)));
  return {};
}

uint64_t Engine::Impl::default_adapter_bytes() const {
  if (default_adapters == nullptr) return 0;
  uint64_t bytes = 0;
  for (const adapters::ScaledAdapter& each : default_adapters->adapters()) {
    bytes += each.adapter->bytes();
  }
  return bytes;
}

Result<AdapterInfo> Engine::load_adapter(const AdapterSource& source) {
  RUVLLM_ASSIGN(auto adapter, adapters::load_adapter(source.path, source.name,
                                                     impl_->model->config().lora_base()));
  return describe(impl_->registry.put(std::move(adapter)));
}

Status Engine::unload_adapter(const std::string& name) { return impl_->registry.remove(name); }

std::vector<AdapterInfo> Engine::adapters() const {
  std::vector<AdapterInfo> described;
  for (const auto& entry : impl_->registry.list()) described.push_back(describe(entry));
  return described;
}

}  // namespace ruvllm
