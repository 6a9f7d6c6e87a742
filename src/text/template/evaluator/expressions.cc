#include <utility>

#include "text/template/evaluator/interpreter.h"
#include "text/template/library/access.h"
#include "text/template/library/lookup.h"
#include "text/template/library/operators.h"
#include "text/template/value/compare.h"
#include "text/template/value/print.h"

namespace ruvllm::text::jinja {
namespace {

Result<bool> holds(Heap& heap, CompareOperator op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOperator::kEqual:
      return equals(heap, a, b);
    case CompareOperator::kNotEqual: {
      RUVLLM_ASSIGN(const bool same, equals(heap, a, b));
      return !same;
    }
    case CompareOperator::kIn:
      return contains(heap, b, a);
    case CompareOperator::kNotIn: {
      RUVLLM_ASSIGN(const bool found, contains(heap, b, a));
      return !found;
    }
    default:
      break;
  }
  RUVLLM_ASSIGN(const int relation, order(heap, a, b));
  if (op == CompareOperator::kLess) return relation < 0;
  if (op == CompareOperator::kLessEqual) return relation <= 0;
  if (op == CompareOperator::kGreater) return relation > 0;
  return relation >= 0;
}

}  // namespace

Result<Value> Interpreter::evaluate(const Expression& expression) {
  const Replace<uint32_t> deeper(depth_, depth_ + 1);
  RUVLLM_TRY(admit_depth(expression.offset));
  RUVLLM_TRY(at(expression.offset, heap_.spend()));
  return std::visit([&](const auto& node) { return value_of(node, expression.offset); },
                    expression.node);
}

Result<Value> Interpreter::value_of(const Literal& node, uint32_t /*offset*/) { return node.value; }

Result<Value> Interpreter::value_of(const Name& node, uint32_t offset) {
  size_t visited = 0;
  const Value* found = scope_->find(node.name, &visited);
  RUVLLM_TRY(at(offset, heap_.spend(visited / 64)));
  if (found != nullptr) return *found;
  const NativeFunction function = find_global(node.name);
  if (function == nullptr) return Value(Undefined{node.name});
  RUVLLM_ASSIGN(Native* const native, at(offset, heap_.new_callable<Native>(function, Value())));
  return Value(static_cast<Callable*>(native));
}

Result<Value> Interpreter::value_of(const ListLiteral& node, uint32_t offset) {
  RUVLLM_ASSIGN(List* const list, at(offset, heap_.new_list(node.kind, node.items.size())));
  for (const ExpressionPtr& item : node.items) {
    RUVLLM_ASSIGN(Value value, evaluate(*item));
    list->items.push_back(std::move(value));
  }
  return Value(list);
}

Result<Value> Interpreter::value_of(const DictLiteral& node, uint32_t offset) {
  RUVLLM_ASSIGN(Dict* const dict, at(offset, heap_.new_dict(node.entries.size())));
  for (const auto& [key, value] : node.entries) {
    RUVLLM_ASSIGN(const Value key_value, evaluate(*key));
    RUVLLM_ASSIGN(Value item, evaluate(*value));
    RUVLLM_TRY(at(key->offset, heap_.assign(*dict, key_value, std::move(item))));
  }
  return Value(dict);
}

Result<Value> Interpreter::value_of(const Unary& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value operand, evaluate(*node.operand));
  if (node.op == UnaryOperator::kNot) return Value(!operand.truthy());
  return at(offset, negate(operand, node.op == UnaryOperator::kNegative));
}

Result<Value> Interpreter::value_of(const Arithmetic& node, uint32_t /*offset*/) {
  RUVLLM_ASSIGN(Value total, evaluate(*node.first));
  for (const auto& [op, operand] : node.rest) {
    RUVLLM_ASSIGN(const Value value, evaluate(*operand));
    RUVLLM_ASSIGN(total, at(operand->offset, arithmetic(heap_, op, total, value)));
  }
  return total;
}

Result<Value> Interpreter::value_of(const Concatenation& node, uint32_t offset) {
  TextBuilder text(heap_);
  for (const ExpressionPtr& part : node.parts) {
    RUVLLM_ASSIGN(const Value value, evaluate(*part));
    RUVLLM_TRY(at(offset, append_str(text, value)));
  }
  return Value(text.take());
}

Result<Value> Interpreter::value_of(const Logic& node, uint32_t /*offset*/) {
  Value value;
  for (const ExpressionPtr& operand : node.operands) {
    RUVLLM_ASSIGN(value, evaluate(*operand));
    if (value.truthy() == node.is_or) break;
  }
  return value;
}

Result<Value> Interpreter::value_of(const Comparison& node, uint32_t /*offset*/) {
  RUVLLM_ASSIGN(Value left, evaluate(*node.first));
  for (const auto& [op, operand] : node.rest) {
    RUVLLM_ASSIGN(Value right, evaluate(*operand));
    RUVLLM_ASSIGN(const bool result, at(operand->offset, holds(heap_, op, left, right)));
    if (!result) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Interpreter::value_of(const Conditional& node, uint32_t /*offset*/) {
  RUVLLM_ASSIGN(const Value condition, evaluate(*node.condition));
  if (condition.truthy()) return evaluate(*node.yes);
  if (node.no != nullptr) return evaluate(*node.no);
  return Value();
}

Result<Value> Interpreter::value_of(const Attribute& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value object, evaluate(*node.object));
  return at(offset, attribute_of(heap_, object, node.name));
}

Result<Value> Interpreter::value_of(const Subscript& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value object, evaluate(*node.object));
  RUVLLM_ASSIGN(const Value index, evaluate(*node.index));
  return at(offset, item_of(heap_, object, index));
}

Result<Value> Interpreter::value_of(const Slice& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value object, evaluate(*node.object));
  Value bounds[3];
  const ExpressionPtr* parts[3] = {&node.start, &node.stop, &node.step};
  for (size_t i = 0; i < 3; ++i) {
    bounds[i] = None{};
    if (*parts[i] != nullptr) {
      RUVLLM_ASSIGN(bounds[i], evaluate(**parts[i]));
    }
  }
  return at(offset, slice_of(heap_, object, &bounds[0], &bounds[1], &bounds[2]));
}

Result<Value> Interpreter::value_of(const FilterUse& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value input, evaluate(*node.input));
  const NativeFunction filter = find_filter(node.name);
  if (filter == nullptr) return error(offset, "there is no filter '{}'", node.name);
  RUVLLM_ASSIGN(const Arguments arguments, evaluate_arguments(node.arguments));
  return at(offset, filter(heap_, input, arguments));
}

Result<Value> Interpreter::value_of(const TestUse& node, uint32_t offset) {
  RUVLLM_ASSIGN(const Value operand, evaluate(*node.operand));
  const TestFunction test = find_test(node.name);
  if (test == nullptr) return error(offset, "there is no test '{}'", node.name);
  RUVLLM_ASSIGN(const Arguments arguments, evaluate_arguments(node.arguments));
  RUVLLM_ASSIGN(const bool result, at(offset, test(heap_, operand, arguments)));
  return Value(result != node.negated);
}

}  // namespace ruvllm::text::jinja
