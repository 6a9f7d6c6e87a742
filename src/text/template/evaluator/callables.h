// Values that only an evaluator can call: macros and the `loop` of a recursive `for`.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/template/evaluator/scope.h"
#include "text/template/syntax/ast.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

struct Macro : Callable {
  Macro(const MacroBody& macro_body, Scope* macro_scope)
      : Callable(CallableKind::kMacro), body(macro_body), scope(macro_scope) {}
  Value attribute(std::string_view name) const override;

  const MacroBody& body;
  Scope* const scope;  // where the macro was defined
};

struct Loop : Callable {
  Loop(const For& loop_node, const List& loop_items, Scope* loop_scope, int64_t loop_depth)
      : Callable(CallableKind::kLoop),
        node(loop_node),
        items(loop_items),
        scope(loop_scope),
        depth(loop_depth) {}
  // index, index0, revindex, revindex0, first, last, length, previtem, nextitem, depth, depth0.
  Value attribute(std::string_view name) const override;

  const For& node;
  const List& items;
  Scope* const scope;  // around the loop
  const int64_t depth;
  size_t idx = 0;
  bool has_changed_value = false;
  Value changed_value;  // the last argument of loop.changed
};

}  // namespace ruvllm::text::jinja
