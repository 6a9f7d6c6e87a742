// Variables by name, in nested scopes.
#pragma once

#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

struct Scope {
  Scope* parent = nullptr;
  bool captured = false;  // a macro looks names up here, so the scope stays for the whole render
  std::vector<std::pair<std::string_view, Value>> variables;

  // Here or in a parent; null when there is none. `visited` counts the names that were compared.
  const Value* find(std::string_view name, size_t* visited) const;
  void set(std::string_view name, Value value);
  void capture();  // this scope and its parents
};

class Scopes {
 public:
  Scope* open(Scope* parent);
  // Makes the scope free for the next one to use, unless it is captured.
  void close(Scope* scope);

 private:
  std::deque<Scope> all_;
  std::vector<Scope*> free_;
};

}  // namespace ruvllm::text::jinja
