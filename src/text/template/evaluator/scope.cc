#include "text/template/evaluator/scope.h"

namespace ruvllm::text::jinja {

const Value* Scope::find(std::string_view name, size_t* visited) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent) {
    *visited += scope->variables.size() + 1;
    for (const auto& [known, value] : scope->variables) {
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [known, current] : variables) {
    if (known == name) {
      current = std::move(value);
      return;
    }
  }
  variables.emplace_back(name, std::move(value));
}

void Scope::capture() {
  for (Scope* scope = this; scope != nullptr && !scope->captured; scope = scope->parent) {
    scope->captured = true;
  }
}

Scope* Scopes::open(Scope* parent) {
  if (free_.empty()) free_.push_back(&all_.emplace_back());
  Scope* scope = free_.back();
  free_.pop_back();
  scope->parent = parent;
  return scope;
}

void Scopes::close(Scope* scope) {
  if (scope->captured) return;
  scope->variables.clear();
  free_.push_back(scope);
}

}  // namespace ruvllm::text::jinja
