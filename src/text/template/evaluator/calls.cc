#include <algorithm>
#include <utility>

#include "text/template/evaluator/interpreter.h"
#include "text/template/library/access.h"
#include "text/template/library/lookup.h"
#include "text/template/value/compare.h"

namespace ruvllm::text::jinja {

Result<Arguments> Interpreter::evaluate_arguments(const CallArguments& arguments) {
  Arguments values;
  values.positional.reserve(arguments.positional.size());
  for (const ExpressionPtr& argument : arguments.positional) {
    RUVLLM_ASSIGN(Value value, evaluate(*argument));
    values.positional.push_back(std::move(value));
  }
  for (const auto& [name, argument] : arguments.named) {
    RUVLLM_ASSIGN(Value value, evaluate(*argument));
    values.named.emplace_back(name, std::move(value));
  }
  return values;
}

Result<Value> Interpreter::value_of(const Call& node, uint32_t offset) {
  return call(node, offset, nullptr);
}

// `caller`: the body of the call block around the call, or null.
Result<Value> Interpreter::call(const Call& node, uint32_t offset, const Value* caller) {
  const auto* attribute = std::get_if<Attribute>(&node.callee->node);
  Value callee;
  if (attribute == nullptr) {
    RUVLLM_ASSIGN(callee, evaluate(*node.callee));
  } else {
    // A method is called where it is found, without making a value of it.
    RUVLLM_ASSIGN(const Value object, evaluate(*attribute->object));
    Callable* callable = object.callable();
    const bool of_loop = callable != nullptr && callable->kind == CallableKind::kLoop;
    const NativeFunction method = find_method(object, attribute->name);
    if (of_loop || method != nullptr) {
      RUVLLM_ASSIGN(const Arguments arguments, evaluate_arguments(node.arguments));
      if (method != nullptr) return at(offset, method(heap_, object, arguments));
      return call_loop_method(static_cast<Loop&>(*callable), attribute->name, arguments, offset);
    }
    RUVLLM_ASSIGN(callee, at(node.callee->offset, attribute_of(heap_, object, attribute->name)));
  }
  RUVLLM_ASSIGN(Arguments arguments, evaluate_arguments(node.arguments));
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  return call_value(callee, std::move(arguments), offset);
}

Result<Value> Interpreter::call_value(const Value& callee, Arguments arguments, uint32_t offset) {
  Callable* callable = callee.callable();
  if (callable == nullptr) {
    if (const Undefined* undefined = callee.undefined(); undefined != nullptr) {
      return error(offset, "'{}' is undefined and cannot be called", undefined->name);
    }
    return error(offset, "a value of type {} cannot be called", callee.type_name());
  }
  switch (callable->kind) {
    case CallableKind::kMacro:
      return call_macro(static_cast<const Macro&>(*callable), std::move(arguments), offset);
    case CallableKind::kLoop:
      return call_loop(static_cast<const Loop&>(*callable), arguments, offset);
    case CallableKind::kNative:
      break;
  }
  const auto& native = static_cast<const Native&>(*callable);
  return at(offset, native.function(heap_, native.self, arguments));
}

Result<Value> Interpreter::call_macro(const Macro& macro, Arguments arguments, uint32_t offset) {
  const Replace<uint32_t> deeper(macro_depth_, macro_depth_ + 1);
  RUVLLM_TRY(admit_depth(offset));
  TextBuilder text(heap_);
  const Replace<TextBuilder*> replace_out(out_, &text);
  const ScopeFrame frame(*this, macro.scope);
  RUVLLM_TRY(bind_parameters(macro.body, arguments, offset));
  RUVLLM_TRY(execute(macro.body.body));
  return Value(text.take());
}

// Sets the parameters, and the special names that the body uses, in the current scope.
Status Interpreter::bind_parameters(const MacroBody& body, Arguments& arguments, uint32_t offset) {
  const size_t given = std::min(arguments.positional.size(), body.parameters.size());
  for (size_t i = 0; i < given; ++i) {
    scope_->set(body.parameters[i].name, std::move(arguments.positional[i]));
  }
  for (size_t i = given; i < body.parameters.size(); ++i) {
    const Parameter& parameter = body.parameters[i];
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& item) { return item.first == parameter.name; });
    Value value = Undefined{parameter.name};
    if (named != arguments.named.end()) {
      value = std::move(named->second);
      arguments.named.erase(named);
    } else if (parameter.fallback != nullptr) {
      RUVLLM_ASSIGN(value, evaluate(*parameter.fallback));
    }
    scope_->set(parameter.name, std::move(value));
  }
  const auto caller = std::find_if(arguments.named.begin(), arguments.named.end(),
                                   [](const auto& item) { return item.first == "caller"; });
  if (body.uses_caller) {
    const bool has_caller = caller != arguments.named.end();
    if (has_caller) scope_->set("caller", caller->second);
    if (has_caller) arguments.named.erase(caller);
  }
  if (body.uses_varargs) {
    RUVLLM_ASSIGN(List* const rest, at(offset, heap_.new_list(ListKind::kTuple)));
    for (size_t i = given; i < arguments.positional.size(); ++i) {
      RUVLLM_TRY(at(offset, heap_.push(*rest, arguments.positional[i])));
    }
    scope_->set("varargs", Value(rest));
  } else if (arguments.positional.size() > given) {
    return error(offset, "macro '{}' takes at most {} arguments and got {}", body.name,
                 body.parameters.size(), arguments.positional.size());
  }
  if (!body.uses_kwargs && !arguments.named.empty()) {
    return error(offset, "macro '{}' has no argument named '{}'", body.name,
                 arguments.named.front().first);
  }
  if (body.uses_kwargs) {
    RUVLLM_ASSIGN(Dict* const rest, at(offset, heap_.new_dict()));
    for (auto& [name, value] : arguments.named) {
      RUVLLM_TRY(at(offset, heap_.assign(*rest, Value::constant(name), std::move(value))));
    }
    scope_->set("kwargs", Value(rest));
  }
  return {};
}

// loop(children) in a recursive loop: its text for the children.
Result<Value> Interpreter::call_loop(const Loop& loop, const Arguments& arguments,
                                     uint32_t offset) {
  if (!loop.node.recursive) {
    return error(offset, "loop can be called in a loop that is marked `recursive` only");
  }
  RUVLLM_ASSIGN(const auto bound, at(offset, bind(arguments, "iterable")));
  if (bound[0] == nullptr) return error(offset, "loop wants the items to go on with");
  const Replace<uint32_t> deeper(macro_depth_, macro_depth_ + 1);
  RUVLLM_TRY(admit_depth(offset));
  TextBuilder text(heap_);
  const Replace<TextBuilder*> replace_out(out_, &text);
  const ScopeFrame frame(*this, loop.scope);
  RUVLLM_TRY(loop_over(loop.node, *bound[0], loop.depth + 1, offset));
  return Value(text.take());
}

Result<Value> Interpreter::call_loop_method(Loop& loop, std::string_view name,
                                            const Arguments& arguments, uint32_t offset) {
  const auto& values = arguments.positional;
  if (name == "cycle" && !values.empty()) return values[loop.idx % values.size()];
  if (name == "changed") {
    RUVLLM_ASSIGN(List* const current, at(offset, heap_.new_list(ListKind::kTuple, values.size())));
    current->items.assign(values.begin(), values.end());
    bool same = loop.has_changed_value;
    if (same) {
      RUVLLM_ASSIGN(same, at(offset, equals(heap_, loop.changed_value, Value(current))));
    }
    loop.has_changed_value = true;
    loop.changed_value = Value(current);
    return Value(!same);
  }
  return error(offset, "loop has no method '{}' for {} arguments", name, values.size());
}

}  // namespace ruvllm::text::jinja
