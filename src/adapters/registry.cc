#include "adapters/registry.h"

#include <utility>

#include <fmt/ranges.h>

namespace ruvllm::adapters {

std::unexpected<Error> AdapterRegistry::unknown(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const auto& [known, entry] : entries_) names.push_back(known);
  return fail(ErrorCode::kNotFound, "no adapter is called '{}'; loaded are: {}", name,
              names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

AdapterRegistry::Entry AdapterRegistry::put(std::shared_ptr<const Adapter> adapter) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[adapter->name()];
  entry = {std::move(adapter), ++last_generation_};
  return entry;
}

Result<AdapterRegistry::Entry> AdapterRegistry::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return unknown(name);
  return found->second;
}

Status AdapterRegistry::remove(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return unknown(name);
  entries_.erase(found);
  return {};
}

std::vector<AdapterRegistry::Entry> AdapterRegistry::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  for (const auto& [name, entry] : entries_) entries.push_back(entry);
  return entries;
}

}  // namespace ruvllm::adapters
