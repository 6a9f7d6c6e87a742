// Walks the syntax tree of one template once, within the budgets of a heap.
#pragma once

#include <cstdint>

#include "base/core/error.h"
#include "text/template/evaluator/callables.h"
#include "text/template/evaluator/scope.h"
#include "text/template/library/library.h"
#include "text/template/syntax/ast.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

class Interpreter {
 public:
  Interpreter(const Program& program, Heap& heap, Scope& variables);
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Errors carry line and column.
  Status run(TextBuilder& out);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  // Statements: statements.cc.
  Result<Flow> execute(const Block& block);
  Result<Flow> execute(const Statement& statement);
  Result<Flow> perform(const TextOutput& node, uint32_t offset);
  Result<Flow> perform(const Output& node, uint32_t offset);
  Result<Flow> perform(const If& node, uint32_t offset);
  Result<Flow> perform(const For& node, uint32_t offset);
  Result<Flow> perform(const Set& node, uint32_t offset);
  Result<Flow> perform(const SetBlock& node, uint32_t offset);
  Result<Flow> perform(const FilterBlock& node, uint32_t offset);
  Result<Flow> perform(const With& node, uint32_t offset);
  Result<Flow> perform(const MacroDefinition& node, uint32_t offset);
  Result<Flow> perform(const CallBlock& node, uint32_t offset);
  Result<Flow> perform(const Group& node, uint32_t offset);
  Result<Flow> perform(const Break&, uint32_t) { return Flow::kBreak; }
  Result<Flow> perform(const Continue&, uint32_t) { return Flow::kContinue; }
  Result<Flow> loop_over(const For& node, const Value& iterable, int64_t depth, uint32_t offset);
  Result<List*> filtered(const For& node, const List& items);
  Status assign(const Target& target, Value value);
  // What `block` prints in a scope of its own under `parent`.
  Result<Value> capture(const Block& block, Scope* scope);
  Result<Value> apply_filters(const Expression& filters, const Value& body);

  // Expressions: expressions.cc.
  Result<Value> evaluate(const Expression& expression);
  Result<Value> value_of(const Literal& node, uint32_t offset);
  Result<Value> value_of(const Name& node, uint32_t offset);
  Result<Value> value_of(const ListLiteral& node, uint32_t offset);
  Result<Value> value_of(const DictLiteral& node, uint32_t offset);
  Result<Value> value_of(const Unary& node, uint32_t offset);
  Result<Value> value_of(const Arithmetic& node, uint32_t offset);
  Result<Value> value_of(const Concatenation& node, uint32_t offset);
  Result<Value> value_of(const Logic& node, uint32_t offset);
  Result<Value> value_of(const Comparison& node, uint32_t offset);
  Result<Value> value_of(const Conditional& node, uint32_t offset);
  Result<Value> value_of(const Attribute& node, uint32_t offset);
  Result<Value> value_of(const Subscript& node, uint32_t offset);
  Result<Value> value_of(const Slice& node, uint32_t offset);
  Result<Value> value_of(const FilterUse& node, uint32_t offset);
  Result<Value> value_of(const TestUse& node, uint32_t offset);
  Result<Value> value_of(const BlockBody&, uint32_t) { return *block_body_; }

  // Calls: calls.cc.
  Result<Value> value_of(const Call& node, uint32_t offset);
  Result<Value> call(const Call& node, uint32_t offset, const Value* caller);
  Result<Value> call_value(const Value& callee, Arguments arguments, uint32_t offset);
  Result<Value> call_macro(const Macro& macro, Arguments arguments, uint32_t offset);
  Status bind_parameters(const MacroBody& body, Arguments& arguments, uint32_t offset);
  Result<Value> call_loop(const Loop& loop, const Arguments& arguments, uint32_t offset);
  Result<Value> call_loop_method(Loop& loop, std::string_view name, const Arguments& arguments,
                                 uint32_t offset);
  Result<Arguments> evaluate_arguments(const CallArguments& arguments);

  // Puts the place in front of an error that the library reports.
  template <typename T>
  Result<T> at(uint32_t offset, Result<T> result) const {
    if (result) return result;
    return std::unexpected<Error>(place(offset, std::move(result).error()));
  }
  template <typename... Args>
  std::unexpected<Error> error(uint32_t offset, fmt::format_string<Args...> format,
                               Args&&... args) const {
    return std::unexpected<Error>(place(
        offset,
        Error(ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...))));
  }
  Error place(uint32_t offset, Error error) const;

  // Restores what it replaces, on errors too.
  template <typename T>
  class Replace {
   public:
    Replace(T& place, T value) : place_(place), old_(std::exchange(place, value)) {}
    ~Replace() { place_ = old_; }
    Replace(const Replace&) = delete;
    Replace& operator=(const Replace&) = delete;

   private:
    T& place_;
    T old_;
  };
  // A new scope below `parent` for as long as it lives.
  class ScopeFrame;

  Status admit_depth(uint32_t offset) const;

  const Program& program_;
  Heap& heap_;
  Scopes scopes_;
  Scope* scope_;
  TextBuilder* out_ = nullptr;
  const Value* block_body_ = nullptr;
  uint32_t depth_ = 0;        // nodes of the tree that are being walked
  uint32_t macro_depth_ = 0;  // macro calls and recursive loops that are being walked
};

class Interpreter::ScopeFrame {
 public:
  ScopeFrame(Interpreter& interpreter, Scope* parent)
      : interpreter_(interpreter),
        outer_(std::exchange(interpreter.scope_, interpreter.scopes_.open(parent))) {}
  ~ScopeFrame() {
    interpreter_.scopes_.close(interpreter_.scope_);
    interpreter_.scope_ = outer_;
  }
  ScopeFrame(const ScopeFrame&) = delete;
  ScopeFrame& operator=(const ScopeFrame&) = delete;

 private:
  Interpreter& interpreter_;
  Scope* const outer_;
};

}  // namespace ruvllm::text::jinja
