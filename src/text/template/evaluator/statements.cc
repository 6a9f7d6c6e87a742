#include <utility>

#include "text/template/evaluator/interpreter.h"
#include "text/template/syntax/location.h"
#include "text/template/value/compare.h"
#include "text/template/value/print.h"

namespace ruvllm::text::jinja {
namespace {

// How many levels of the tree may be walked at once, in max_depth: a macro that calls itself walks
// its own body again. At most about 1 KiB of stack a level.
constexpr uint32_t kWalkFactor = 8;

}  // namespace

Interpreter::Interpreter(const Program& program, Heap& heap, Scope& variables)
    : program_(program), heap_(heap), scope_(&variables) {}

Error Interpreter::place(uint32_t offset, Error error) const {
  return locate(program_.source, offset, std::move(error));
}

Status Interpreter::admit_depth(uint32_t offset) const {
  const uint32_t limit = heap_.limits().max_depth;
  if (depth_ <= uint64_t{limit} * kWalkFactor && macro_depth_ <= limit) return {};
  return std::unexpected<Error>(
      place(offset, Error(ErrorCode::kResourceExhausted,
                          fmt::format("calls and blocks are nested deeper than {} levels; does a "
                                      "macro call itself without end?",
                                      limit))));
}

Status Interpreter::run(TextBuilder& out) {
  const Replace<TextBuilder*> replace_out(out_, &out);
  RUVLLM_TRY(execute(program_.body));
  return {};
}

Result<Interpreter::Flow> Interpreter::execute(const Block& block) {
  for (const Statement& statement : block) {
    RUVLLM_ASSIGN(const Flow flow, execute(statement));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::execute(const Statement& statement) {
  const Replace<uint32_t> deeper(depth_, depth_ + 1);
  RUVLLM_TRY(admit_depth(statement.offset));
  RUVLLM_TRY(at(statement.offset, heap_.spend()));
  return std::visit([&](const auto& node) { return perform(node, statement.offset); },
                    statement.node);
}

Result<Interpreter::Flow> Interpreter::perform(const TextOutput& node, uint32_t offset) {
  RUVLLM_TRY(at(offset, out_->append(node.text)));
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::perform(const Output& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value value, evaluate(*node.value));
  RUVLLM_TRY(at(offset, append_str(*out_, value)));
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::perform(const If& node, uint32_t /*offset*/) {
  for (const auto& [condition, body] : node.branches) {
    RUVLLM_ASSIGN(const Value value, evaluate(*condition));
    if (value.truthy()) return execute(body);
  }
  return execute(node.otherwise);
}

Result<Interpreter::Flow> Interpreter::perform(const For& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value iterable, evaluate(*node.iterable));
  return loop_over(node, iterable, 0, offset);
}

Result<List*> Interpreter::filtered(const For& node, const List& items) {
  const uint32_t offset = node.target.offset;
  RUVLLM_ASSIGN(List* const kept, at(offset, heap_.new_list(ListKind::kList)));
  for (size_t i = 0; i < items.items.size(); ++i) {
    const Value item = items.items[i];
    const ScopeFrame frame(*this, scope_);
    RUVLLM_TRY(assign(node.target, item));
    RUVLLM_ASSIGN(const Value keep, evaluate(*node.filter));
    if (keep.truthy()) RUVLLM_TRY(at(offset, heap_.push(*kept, item)));
  }
  return kept;
}

Result<Interpreter::Flow> Interpreter::loop_over(const For& node, const Value& iterable,
                                                 int64_t depth, uint32_t offset) {
  RUVLLM_ASSIGN(const List* items, at(offset, items_of(heap_, iterable)));
  if (node.filter != nullptr) {
    RUVLLM_ASSIGN(items, filtered(node, *items));
  }
  if (items->items.empty()) {
    const ScopeFrame frame(*this, scope_);
    return execute(node.otherwise);
  }
  RUVLLM_ASSIGN(Loop* const loop,
                at(offset, heap_.new_callable<Loop>(node, *items, scope_, depth)));
  // By index: the body may append to the list that it walks over.
  for (size_t i = 0; i < items->items.size(); ++i) {
    RUVLLM_TRY(at(offset, heap_.spend()));
    loop->idx = i;
    const ScopeFrame frame(*this, scope_);
    scope_->set("loop", Value(static_cast<Callable*>(loop)));
    RUVLLM_TRY(assign(node.target, items->items[i]));
    RUVLLM_ASSIGN(const Flow flow, execute(node.body));
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::perform(const Set& node, uint32_t /*offset*/) {
  RUVLLM_ASSIGN(Value value, evaluate(*node.value));
  RUVLLM_TRY(assign(node.target, std::move(value)));
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::perform(const SetBlock& node, uint32_t /*offset*/) {
  RUVLLM_ASSIGN(const Value body, capture(node.body, scope_));
  RUVLLM_ASSIGN(Value value, apply_filters(*node.filters, body));
  RUVLLM_TRY(assign(node.target, std::move(value)));
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::perform(const FilterBlock& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value body, capture(node.body, scope_));
  RUVLLM_ASSIGN(const Value value, apply_filters(*node.filters, body));
  RUVLLM_TRY(at(offset, append_str(*out_, value)));
  return Flow::kNext;
}

Result<Value> Interpreter::apply_filters(const Expression& filters, const Value& body) {
  const Replace<const Value*> replace_body(block_body_, &body);
  return evaluate(filters);
}

Result<Interpreter::Flow> Interpreter::perform(const With& node, uint32_t /*offset*/) {
  std::vector<Value> values;
  for (const auto& assignment : node.assignments) {
    RUVLLM_ASSIGN(Value value, evaluate(*assignment.second));
    values.push_back(std::move(value));
  }
  const ScopeFrame frame(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) {
    RUVLLM_TRY(assign(node.assignments[i].first, std::move(values[i])));
  }
  return execute(node.body);
}

Result<Interpreter::Flow> Interpreter::perform(const MacroDefinition& node, uint32_t offset) {
  RUVLLM_ASSIGN(Macro* const macro, at(offset, heap_.new_callable<Macro>(node.macro, scope_)));
  RUVLLM_TRY(at(offset, heap_.take_bytes(sizeof(Scope))));
  scope_->capture();
  scope_->set(node.macro.name, Value(static_cast<Callable*>(macro)));
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::perform(const CallBlock& node, uint32_t offset) {
  RUVLLM_ASSIGN(Macro* const caller, at(offset, heap_.new_callable<Macro>(node.caller, scope_)));
  RUVLLM_TRY(at(offset, heap_.take_bytes(sizeof(Scope))));
  scope_->capture();
  const Value caller_value(static_cast<Callable*>(caller));
  RUVLLM_ASSIGN(const Value value,
                call(std::get<Call>(node.call->node), node.call->offset, &caller_value));
  RUVLLM_TRY(at(offset, append_str(*out_, value)));
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::perform(const Group& node, uint32_t /*offset*/) {
  return execute(node.body);
}

Status Interpreter::assign(const Target& target, Value value) {
  if (!target.elements.empty()) {
    RUVLLM_ASSIGN(const List* const items, at(target.offset, items_of(heap_, value)));
    if (items->items.size() != target.elements.size()) {
      return error(target.offset, "{} values for {} names", items->items.size(),
                   target.elements.size());
    }
    for (size_t i = 0; i < target.elements.size(); ++i) {
      RUVLLM_TRY(assign(target.elements[i], items->items[i]));
    }
    return {};
  }
  if (target.attribute.empty()) {
    scope_->set(target.name, std::move(value));
    return {};
  }
  size_t visited = 0;
  const Value* found = scope_->find(target.name, &visited);
  if (found == nullptr || found->space() == nullptr) {
    return error(target.offset, "only attributes of a namespace() can be set, and '{}' is none",
                 target.name);
  }
  return at(target.offset, heap_.assign(found->space()->attributes,
                                        Value::constant(target.attribute), std::move(value)));
}

Result<Value> Interpreter::capture(const Block& block, Scope* scope) {
  TextBuilder text(heap_);
  const Replace<TextBuilder*> replace_out(out_, &text);
  const ScopeFrame frame(*this, scope);
  RUVLLM_TRY(execute(block));
  return Value(text.take());
}

}  // namespace ruvllm::text::jinja
