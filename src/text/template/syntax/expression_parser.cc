#include "text/template/syntax/expression_parser.h"

#include <algorithm>
#include <array>
#include <optional>

#include "text/template/syntax/literal.h"

namespace ruvllm::text::jinja {
namespace {

// The height of a node over its children, whatever fields hold them.
class Height {
 public:
  template <typename Node>
  explicit Height(const Node& node) {
    if constexpr (requires { node.items; }) add(node.items);
    if constexpr (requires { node.entries; }) add(node.entries);
    if constexpr (requires { node.parts; }) add(node.parts);
    if constexpr (requires { node.operands; }) add(node.operands);
    if constexpr (requires { node.operand; }) add(node.operand);
    if constexpr (requires { node.object; }) add(node.object);
    if constexpr (requires { node.index; }) add(node.index);
    if constexpr (requires { node.callee; }) add(node.callee);
    if constexpr (requires { node.input; }) add(node.input);
    if constexpr (requires { node.first; }) {
      add(node.first);
      add(node.rest);
    }
    if constexpr (requires { node.condition; }) {
      add(node.condition);
      add(node.yes);
      add(node.no);
    }
    if constexpr (requires { node.start; }) {
      add(node.start);
      add(node.stop);
      add(node.step);
    }
    if constexpr (requires { node.arguments; }) {
      add(node.arguments.positional);
      add(node.arguments.named);
    }
  }
  uint32_t value() const { return value_; }

 private:
  template <typename Other>
  void add(const Other&) {}  // the name or the operator of a pair
  void add(const ExpressionPtr& child) {
    if (child != nullptr) value_ = std::max(value_, child->height + 1);
  }
  template <typename Item>
  void add(const std::vector<Item>& items) {
    for (const Item& item : items) add(item);
  }
  template <typename First>
  void add(const std::pair<First, ExpressionPtr>& pair) {
    add(pair.first);
    add(pair.second);
  }

  uint32_t value_ = 0;
};

template <typename Node>
ExpressionPtr make(uint32_t offset, Node node) {
  auto expression = std::make_unique<Expression>();
  expression->offset = offset;
  expression->height = Height(node).value();
  expression->node = std::move(node);
  return expression;
}

BinaryOperator binary_operator(std::string_view text) {
  if (text == "+") return BinaryOperator::kAdd;
  if (text == "-") return BinaryOperator::kSubtract;
  if (text == "*") return BinaryOperator::kMultiply;
  if (text == "/") return BinaryOperator::kDivide;
  if (text == "//") return BinaryOperator::kFloorDivide;
  if (text == "%") return BinaryOperator::kModulo;
  return BinaryOperator::kPower;
}

std::optional<CompareOperator> compare_operator(std::string_view text) {
  if (text == "==") return CompareOperator::kEqual;
  if (text == "!=") return CompareOperator::kNotEqual;
  if (text == "<") return CompareOperator::kLess;
  if (text == "<=") return CompareOperator::kLessEqual;
  if (text == ">") return CompareOperator::kGreater;
  if (text == ">=") return CompareOperator::kGreaterEqual;
  return std::nullopt;
}

// Words that cannot start an expression.
bool is_reserved(std::string_view word) {
  static constexpr std::array<std::string_view, 7> kReserved = {"and", "or", "not", "in",
                                                                "is",  "if", "else"};
  return std::find(kReserved.begin(), kReserved.end(), word) != kReserved.end();
}

}  // namespace

Result<ExpressionPtr> ExpressionParser::parse_expression() {
  const TokenStream::Level level(stream_);
  RUVLLM_TRY(stream_.admit_depth());
  const uint32_t offset = stream_.current().offset;
  RUVLLM_ASSIGN(ExpressionPtr value, parse_or());
  while (stream_.skip_name("if")) {
    Conditional conditional;
    conditional.yes = std::move(value);
    RUVLLM_ASSIGN(conditional.condition, parse_or());
    if (stream_.skip_name("else")) {
      RUVLLM_ASSIGN(conditional.no, parse_expression());
    }
    value = make(offset, std::move(conditional));
    RUVLLM_TRY(stream_.admit_height(value->height));
  }
  return value;
}

Result<ExpressionPtr> ExpressionParser::parse_without_inline_if() {
  const TokenStream::Level level(stream_);
  RUVLLM_TRY(stream_.admit_depth());
  return parse_or();
}

Result<ExpressionPtr> ExpressionParser::parse_tuple(bool inline_if) {
  const uint32_t offset = stream_.current().offset;
  const auto element = [&] { return inline_if ? parse_expression() : parse_without_inline_if(); };
  RUVLLM_ASSIGN(ExpressionPtr first, element());
  if (!stream_.at_operator(",")) return first;
  ListLiteral tuple{ListKind::kTuple, {}};
  tuple.items.push_back(std::move(first));
  while (stream_.skip_operator(",")) {
    const bool end = stream_.at_tag_end() || stream_.at_operator(")") ||
                     stream_.at_name("recursive") || stream_.at_name("in");
    if (end) break;
    RUVLLM_ASSIGN(ExpressionPtr item, element());
    tuple.items.push_back(std::move(item));
  }
  return make(offset, std::move(tuple));
}

Result<ExpressionPtr> ExpressionParser::parse_or() {
  return parse_logic("or", &ExpressionParser::parse_and);
}

Result<ExpressionPtr> ExpressionParser::parse_and() {
  return parse_logic("and", &ExpressionParser::parse_not);
}

Result<ExpressionPtr> ExpressionParser::parse_logic(std::string_view word, Parse operand) {
  const uint32_t offset = stream_.current().offset;
  RUVLLM_ASSIGN(ExpressionPtr first, (this->*operand)());
  if (!stream_.at_name(word)) return first;
  Logic logic{word == "or", {}};
  logic.operands.push_back(std::move(first));
  while (stream_.skip_name(word)) {
    RUVLLM_ASSIGN(ExpressionPtr next, (this->*operand)());
    logic.operands.push_back(std::move(next));
  }
  return make(offset, std::move(logic));
}

Result<ExpressionPtr> ExpressionParser::parse_not() {
  const uint32_t offset = stream_.current().offset;
  if (!stream_.skip_name("not")) return parse_comparison();
  const TokenStream::Level level(stream_);
  RUVLLM_TRY(stream_.admit_depth());
  RUVLLM_ASSIGN(ExpressionPtr operand, parse_not());
  return make(offset, Unary{UnaryOperator::kNot, std::move(operand)});
}

Result<ExpressionPtr> ExpressionParser::parse_comparison() {
  const uint32_t offset = stream_.current().offset;
  Comparison comparison;
  RUVLLM_ASSIGN(comparison.first, parse_sum());
  for (;;) {
    std::optional<CompareOperator> op;
    if (stream_.current().kind == TokenKind::kOperator) {
      op = compare_operator(stream_.current().text);
    } else if (stream_.at_name("in")) {
      op = CompareOperator::kIn;
    } else if (stream_.at_name("not") && stream_.ahead().kind == TokenKind::kName &&
               stream_.ahead().text == "in") {
      op = CompareOperator::kNotIn;
      stream_.advance();
    }
    if (!op) break;
    stream_.advance();
    RUVLLM_ASSIGN(ExpressionPtr operand, parse_sum());
    comparison.rest.emplace_back(*op, std::move(operand));
  }
  if (comparison.rest.empty()) return std::move(comparison.first);
  return make(offset, std::move(comparison));
}

Result<ExpressionPtr> ExpressionParser::parse_sum() {
  return parse_arithmetic("+ -", &ExpressionParser::parse_concatenation);
}

Result<ExpressionPtr> ExpressionParser::parse_concatenation() {
  const uint32_t offset = stream_.current().offset;
  RUVLLM_ASSIGN(ExpressionPtr first, parse_product());
  if (!stream_.at_operator("~")) return first;
  Concatenation concatenation;
  concatenation.parts.push_back(std::move(first));
  while (stream_.skip_operator("~")) {
    RUVLLM_ASSIGN(ExpressionPtr next, parse_product());
    concatenation.parts.push_back(std::move(next));
  }
  return make(offset, std::move(concatenation));
}

Result<ExpressionPtr> ExpressionParser::parse_product() {
  return parse_arithmetic("* / // %", &ExpressionParser::parse_power);
}

Result<ExpressionPtr> ExpressionParser::parse_power() {
  return parse_arithmetic("**", &ExpressionParser::parse_filtered);
}

// `operators`: those of one rank, with spaces between them.
Result<ExpressionPtr> ExpressionParser::parse_arithmetic(std::string_view operators,
                                                         Parse operand) {
  const uint32_t offset = stream_.current().offset;
  const auto at_one = [&] {
    if (stream_.current().kind != TokenKind::kOperator) return false;
    const std::string_view text = stream_.current().text;
    const size_t found = operators.find(text);
    if (found == std::string_view::npos) return false;
    const size_t end = operators.find(' ', found);
    return text == operators.substr(found, end - found) || (text == "/" && operators.size() > 3);
  };
  RUVLLM_ASSIGN(ExpressionPtr first, (this->*operand)());
  if (!at_one()) return first;
  Arithmetic arithmetic;
  arithmetic.first = std::move(first);
  while (at_one()) {
    const BinaryOperator op = binary_operator(stream_.advance().text);
    RUVLLM_ASSIGN(ExpressionPtr next, (this->*operand)());
    arithmetic.rest.emplace_back(op, std::move(next));
  }
  return make(offset, std::move(arithmetic));
}

Result<ExpressionPtr> ExpressionParser::parse_unary(bool with_filters) {
  const TokenStream::Level level(stream_);
  RUVLLM_TRY(stream_.admit_depth());
  const uint32_t offset = stream_.current().offset;
  ExpressionPtr value;
  if (stream_.at_operator("-") || stream_.at_operator("+")) {
    const bool negative = stream_.advance().text == "-";
    RUVLLM_ASSIGN(ExpressionPtr operand, parse_unary(false));
    value = make(offset, Unary{negative ? UnaryOperator::kNegative : UnaryOperator::kPositive,
                               std::move(operand)});
  } else {
    RUVLLM_ASSIGN(value, parse_primary());
  }
  RUVLLM_ASSIGN(value, parse_postfix(std::move(value)));
  if (!with_filters) return value;
  return parse_filters_and_tests(std::move(value));
}

Result<ExpressionPtr> ExpressionParser::parse_primary() {
  const Token& token = stream_.current();
  switch (token.kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kString:
      return parse_string();
    case TokenKind::kInteger:
    case TokenKind::kFloat: {
      stream_.advance();
      RUVLLM_ASSIGN(Value value, stream_.at(token.offset, token.kind == TokenKind::kInteger
                                                              ? parse_integer(token.text)
                                                              : parse_float(token.text)));
      return make(token.offset, Literal{std::move(value)});
    }
    default:
      break;
  }
  if (stream_.at_operator("(")) return parse_parentheses();
  if (stream_.at_operator("[")) return parse_list();
  if (stream_.at_operator("{")) return parse_dict();
  return stream_.unexpected("an expression");
}

Result<ExpressionPtr> ExpressionParser::parse_name() {
  const Token& token = stream_.current();
  const std::string_view name = token.text;
  if (is_reserved(name)) return stream_.unexpected("an expression");
  stream_.advance();
  if (name == "true" || name == "True") return make(token.offset, Literal{Value(true)});
  if (name == "false" || name == "False") return make(token.offset, Literal{Value(false)});
  if (name == "none" || name == "None") return make(token.offset, Literal{Value(None{})});
  if (name == "varargs") special_names_.varargs = true;
  if (name == "kwargs") special_names_.kwargs = true;
  if (name == "caller") special_names_.caller = true;
  return make(token.offset, Name{name});
}

// Strings that stand side by side are one.
Result<ExpressionPtr> ExpressionParser::parse_string() {
  const uint32_t offset = stream_.current().offset;
  std::string joined;
  while (stream_.current().kind == TokenKind::kString) {
    const Token& token = stream_.advance();
    RUVLLM_ASSIGN(const std::string part, stream_.at(token.offset, unescape(token.text)));
    joined += part;
  }
  const std::string& kept = stream_.program().literals.emplace_back(std::move(joined));
  return make(offset, Literal{Value::constant(kept)});
}

Result<ExpressionPtr> ExpressionParser::parse_parentheses() {
  const uint32_t offset = stream_.advance().offset;
  if (stream_.skip_operator(")")) return make(offset, ListLiteral{ListKind::kTuple, {}});
  RUVLLM_ASSIGN(ExpressionPtr inner, parse_tuple(true));
  RUVLLM_TRY(stream_.expect_operator(")"));
  return inner;
}

Result<ExpressionPtr> ExpressionParser::parse_list() {
  const uint32_t offset = stream_.advance().offset;
  ListLiteral list{ListKind::kList, {}};
  while (!stream_.at_operator("]")) {
    if (!list.items.empty()) RUVLLM_TRY(stream_.expect_operator(","));
    if (stream_.at_operator("]")) break;
    RUVLLM_ASSIGN(ExpressionPtr item, parse_expression());
    list.items.push_back(std::move(item));
  }
  stream_.advance();
  return make(offset, std::move(list));
}

Result<ExpressionPtr> ExpressionParser::parse_dict() {
  const uint32_t offset = stream_.advance().offset;
  DictLiteral dict;
  while (!stream_.at_operator("}")) {
    if (!dict.entries.empty()) RUVLLM_TRY(stream_.expect_operator(","));
    if (stream_.at_operator("}")) break;
    RUVLLM_ASSIGN(ExpressionPtr key, parse_expression());
    RUVLLM_TRY(stream_.expect_operator(":"));
    RUVLLM_ASSIGN(ExpressionPtr value, parse_expression());
    dict.entries.emplace_back(std::move(key), std::move(value));
  }
  stream_.advance();
  return make(offset, std::move(dict));
}

Result<ExpressionPtr> ExpressionParser::parse_postfix(ExpressionPtr object) {
  for (;;) {
    if (stream_.at_operator(".")) {
      RUVLLM_ASSIGN(object, parse_attribute(std::move(object)));
    } else if (stream_.at_operator("[")) {
      RUVLLM_ASSIGN(object, parse_subscript(std::move(object)));
    } else if (stream_.at_operator("(")) {
      const uint32_t offset = stream_.current().offset;
      RUVLLM_ASSIGN(CallArguments arguments, parse_call_arguments());
      object = make(offset, Call{std::move(object), std::move(arguments)});
    } else {
      return object;
    }
    RUVLLM_TRY(stream_.admit_height(object->height));
  }
}

Result<ExpressionPtr> ExpressionParser::parse_attribute(ExpressionPtr object) {
  stream_.advance();
  const Token& token = stream_.current();
  if (token.kind == TokenKind::kInteger) {
    RUVLLM_ASSIGN(ExpressionPtr index, parse_primary());
    return make(token.offset, Subscript{std::move(object), std::move(index)});
  }
  RUVLLM_ASSIGN(const std::string_view name, stream_.expect_name());
  return make(token.offset, Attribute{std::move(object), name});
}

Result<ExpressionPtr> ExpressionParser::parse_subscript(ExpressionPtr object) {
  const uint32_t offset = stream_.advance().offset;
  const auto bound = [this](ExpressionPtr& out) -> Status {
    if (stream_.at_operator(":") || stream_.at_operator("]")) return {};
    RUVLLM_ASSIGN(out, parse_expression());
    return {};
  };
  ExpressionPtr first;
  RUVLLM_TRY(bound(first));
  if (!stream_.at_operator(":")) {
    if (first == nullptr) return stream_.unexpected("an index");
    RUVLLM_TRY(stream_.expect_operator("]"));
    return make(offset, Subscript{std::move(object), std::move(first)});
  }
  Slice slice;
  slice.object = std::move(object);
  slice.start = std::move(first);
  stream_.advance();
  RUVLLM_TRY(bound(slice.stop));
  if (stream_.skip_operator(":")) RUVLLM_TRY(bound(slice.step));
  RUVLLM_TRY(stream_.expect_operator("]"));
  return make(offset, std::move(slice));
}

Result<CallArguments> ExpressionParser::parse_call_arguments() {
  RUVLLM_TRY(stream_.expect_operator("("));
  CallArguments arguments;
  while (!stream_.at_operator(")")) {
    if (!arguments.positional.empty() || !arguments.named.empty()) {
      RUVLLM_TRY(stream_.expect_operator(","));
      if (stream_.at_operator(")")) break;
    }
    const Token& token = stream_.current();
    const bool named = token.kind == TokenKind::kName &&
                       stream_.ahead().kind == TokenKind::kOperator && stream_.ahead().text == "=";
    if (named) {
      stream_.advance();
      stream_.advance();
    } else if (!arguments.named.empty()) {
      return stream_.error(token.offset, "a positional argument follows a named one");
    }
    RUVLLM_ASSIGN(ExpressionPtr value, parse_expression());
    if (named) {
      arguments.named.emplace_back(token.text, std::move(value));
    } else {
      arguments.positional.push_back(std::move(value));
    }
  }
  stream_.advance();
  return arguments;
}

Result<ExpressionPtr> ExpressionParser::parse_filter_chain(ExpressionPtr input) {
  RUVLLM_ASSIGN(ExpressionPtr value, parse_one_filter(std::move(input)));
  return parse_filters_and_tests(std::move(value));
}

Result<ExpressionPtr> ExpressionParser::parse_filters_and_tests(ExpressionPtr input) {
  for (;;) {
    if (stream_.skip_operator("|")) {
      RUVLLM_ASSIGN(input, parse_one_filter(std::move(input)));
    } else if (stream_.at_name("is")) {
      RUVLLM_ASSIGN(input, parse_test(std::move(input)));
    } else if (stream_.at_operator("(")) {
      const uint32_t offset = stream_.current().offset;
      RUVLLM_ASSIGN(CallArguments arguments, parse_call_arguments());
      input = make(offset, Call{std::move(input), std::move(arguments)});
    } else {
      return input;
    }
    RUVLLM_TRY(stream_.admit_height(input->height));
  }
}

Result<ExpressionPtr> ExpressionParser::parse_one_filter(ExpressionPtr input) {
  const uint32_t offset = stream_.current().offset;
  RUVLLM_ASSIGN(const std::string_view name, stream_.expect_name());
  FilterUse use{std::move(input), name, {}};
  if (stream_.at_operator("(")) {
    RUVLLM_ASSIGN(use.arguments, parse_call_arguments());
  }
  return make(offset, std::move(use));
}

bool ExpressionParser::at_test_operand() const {
  const Token& token = stream_.current();
  if (token.kind == TokenKind::kName) return !is_reserved(token.text);
  return token.kind == TokenKind::kString || token.kind == TokenKind::kInteger ||
         token.kind == TokenKind::kFloat || stream_.at_operator("[") || stream_.at_operator("{");
}

Result<ExpressionPtr> ExpressionParser::parse_test(ExpressionPtr operand) {
  const uint32_t offset = stream_.advance().offset;
  TestUse use{std::move(operand), {}, stream_.skip_name("not"), {}};
  RUVLLM_ASSIGN(use.name, stream_.expect_name());
  if (stream_.at_operator("(")) {
    RUVLLM_ASSIGN(use.arguments, parse_call_arguments());
  } else if (at_test_operand()) {
    const TokenStream::Level level(stream_);
    RUVLLM_TRY(stream_.admit_depth());
    RUVLLM_ASSIGN(ExpressionPtr argument, parse_primary());
    RUVLLM_ASSIGN(argument, parse_postfix(std::move(argument)));
    use.arguments.positional.push_back(std::move(argument));
  }
  return make(offset, std::move(use));
}

}  // namespace ruvllm::text::jinja
