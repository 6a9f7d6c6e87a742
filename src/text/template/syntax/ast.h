// The syntax tree. Names and literals point into the Program, which outlives every render.
//
// Chains of equal rank (a + b - c, a ~ b, a and b, a < b < c) are flat, so that their length costs
// no nesting; the parser bounds the nesting of everything else.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/template/value/operators.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class UnaryOperator : uint8_t { kNot, kNegative, kPositive };
enum class CompareOperator : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn
};

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string_view, ExpressionPtr>> named;
};

struct Literal {
  Value value;
};
struct Name {
  std::string_view name;
};
struct ListLiteral {
  ListKind kind;
  std::vector<ExpressionPtr> items;
};
struct DictLiteral {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Unary {
  UnaryOperator op;
  ExpressionPtr operand;
};
struct Arithmetic {
  ExpressionPtr first;
  std::vector<std::pair<BinaryOperator, ExpressionPtr>> rest;  // from left to right
};
struct Concatenation {
  std::vector<ExpressionPtr> parts;
};
struct Logic {
  bool is_or;
  std::vector<ExpressionPtr> operands;
};
struct Comparison {
  ExpressionPtr first;
  std::vector<std::pair<CompareOperator, ExpressionPtr>> rest;
};
struct Conditional {
  ExpressionPtr condition, yes, no;
};  // `no` may be null
struct Attribute {
  ExpressionPtr object;
  std::string_view name;
};
struct Subscript {
  ExpressionPtr object, index;
};
struct Slice {
  ExpressionPtr object, start, stop, step;
};  // the last three may be null
struct Call {
  ExpressionPtr callee;
  CallArguments arguments;
};
struct FilterUse {
  ExpressionPtr input;
  std::string_view name;
  CallArguments arguments;
};
struct TestUse {
  ExpressionPtr operand;
  std::string_view name;
  bool negated;
  CallArguments arguments;
};
// The rendered body of a filter block or block set, as the input of its filters.
struct BlockBody {};

struct Expression {
  uint32_t offset = 0;
  uint32_t height = 0;  // of the longest chain of nodes below this one
  std::variant<Literal, Name, ListLiteral, DictLiteral, Unary, Arithmetic, Concatenation, Logic,
               Comparison, Conditional, Attribute, Subscript, Slice, Call, FilterUse, TestUse,
               BlockBody>
      node;
};

struct Statement;
using Block = std::vector<Statement>;

// What `for` and `set` assign to: a name, an attribute of a namespace, or several of them.
struct Target {
  uint32_t offset = 0;
  std::string_view name;
  std::string_view attribute;    // empty: the name itself
  std::vector<Target> elements;  // not empty: unpacks a sequence, and `name` is empty
};

struct Parameter {
  std::string_view name;
  ExpressionPtr fallback;
};  // `fallback` may be null

// A macro, or the body of a call block (which the macro that it calls knows as `caller`).
struct MacroBody {
  std::string_view name;
  std::vector<Parameter> parameters;
  Block body;
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
};

struct TextOutput {
  std::string_view text;
};
struct Output {
  ExpressionPtr value;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Block>> branches;
  Block otherwise;
};
struct For {
  Target target;
  ExpressionPtr iterable;
  ExpressionPtr filter;  // may be null
  bool recursive = false;
  Block body;
  Block otherwise;
};
struct Set {
  Target target;
  ExpressionPtr value;
};
struct SetBlock {
  Target target;
  ExpressionPtr filters;
  Block body;
};  // `filters` ends in BlockBody
struct FilterBlock {
  ExpressionPtr filters;
  Block body;
};
struct With {
  std::vector<std::pair<Target, ExpressionPtr>> assignments;
  Block body;
};
struct MacroDefinition {
  MacroBody macro;
};
struct CallBlock {
  MacroBody caller;
  ExpressionPtr call;
};
struct Group {
  Block body;
};  // {% generation %}: marks, renders its body
struct Break {};
struct Continue {};

struct Statement {
  uint32_t offset = 0;
  std::variant<TextOutput, Output, If, For, Set, SetBlock, FilterBlock, With, MacroDefinition,
               CallBlock, Group, Break, Continue>
      node;
};

struct Program {
  std::string source;                // normalized; tokens and names point into it
  std::deque<std::string> literals;  // strings with their escapes replaced
  Block body;
};

}  // namespace ruvllm::text::jinja
