// Expressions, in Jinja2's precedence from loose to tight: inline if, or, and, not, comparison, +
// -,
// ~, * / // %, **, unary sign, then attributes, calls, filters and tests.
#pragma once

#include <string_view>

#include "base/core/error.h"
#include "text/template/syntax/ast.h"
#include "text/template/syntax/token_stream.h"

namespace ruvllm::text::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  Result<ExpressionPtr> parse_expression();  // with inline if
  Result<ExpressionPtr> parse_without_inline_if();
  // One expression, or several with commas between them as a tuple.
  Result<ExpressionPtr> parse_tuple(bool inline_if);
  Result<CallArguments> parse_call_arguments();  // at "("
  // name(arguments)|name..., as `{% filter ... %}` and `{% set x | ... %}` have them.
  Result<ExpressionPtr> parse_filter_chain(ExpressionPtr input);

  // The special names that expressions have used since the last call; the owner of a macro body
  // reads it.
  struct SpecialNames {
    bool varargs = false;
    bool kwargs = false;
    bool caller = false;
  };
  SpecialNames& special_names() { return special_names_; }

 private:
  using Parse = Result<ExpressionPtr> (ExpressionParser::*)();

  Result<ExpressionPtr> parse_or();
  Result<ExpressionPtr> parse_and();
  Result<ExpressionPtr> parse_logic(std::string_view word, Parse operand);
  Result<ExpressionPtr> parse_not();
  Result<ExpressionPtr> parse_comparison();
  Result<ExpressionPtr> parse_sum();
  Result<ExpressionPtr> parse_concatenation();
  Result<ExpressionPtr> parse_product();
  Result<ExpressionPtr> parse_power();
  Result<ExpressionPtr> parse_arithmetic(std::string_view operators, Parse operand);
  Result<ExpressionPtr> parse_filtered() { return parse_unary(true); }
  Result<ExpressionPtr> parse_unary(bool with_filters);
  Result<ExpressionPtr> parse_primary();
  Result<ExpressionPtr> parse_name();
  Result<ExpressionPtr> parse_string();
  Result<ExpressionPtr> parse_parentheses();
  Result<ExpressionPtr> parse_list();
  Result<ExpressionPtr> parse_dict();
  Result<ExpressionPtr> parse_postfix(ExpressionPtr object);
  Result<ExpressionPtr> parse_attribute(ExpressionPtr object);
  Result<ExpressionPtr> parse_subscript(ExpressionPtr object);
  Result<ExpressionPtr> parse_filters_and_tests(ExpressionPtr input);
  Result<ExpressionPtr> parse_one_filter(ExpressionPtr input);
  Result<ExpressionPtr> parse_test(ExpressionPtr operand);
  bool at_test_operand() const;

  TokenStream& stream_;
  SpecialNames special_names_;
};

}  // namespace ruvllm::text::jinja
