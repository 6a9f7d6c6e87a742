#include "text/template/library/lookup.h"

#include <algorithm>
#include <span>

#include "text/template/library/tables.h"

namespace ruvllm::text::jinja {
namespace {

NativeFunction find(std::span<const FunctionEntry> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const auto& entry) { return entry.name == name; });
  return found == table.end() ? nullptr : found->function;
}

}  // namespace

NativeFunction find_filter(std::string_view name) {
  for (const auto& table :
       {text_filters(), value_filters(), sequence_filters(), select_filters()}) {
    if (const NativeFunction found = find(table, name); found != nullptr) return found;
  }
  return nullptr;
}

NativeFunction find_method(const Value& self, std::string_view name) {
  if (self.text() != nullptr) {
    const NativeFunction found = find(text_methods(), name);
    return found != nullptr ? found : find(split_methods(), name);
  }
  if (self.dict() != nullptr) return find(dict_methods(), name);
  if (self.list() != nullptr && self.list()->kind != ListKind::kGenerator) {
    const NativeFunction found = find(list_methods(), name);
    const bool shared = name == "index" || name == "count";
    return self.list()->kind == ListKind::kList || shared ? found : nullptr;
  }
  return nullptr;
}

NativeFunction find_global(std::string_view name) { return find(global_functions(), name); }

}  // namespace ruvllm::text::jinja
