#include "text/template/syntax/parser.h"

#include <algorithm>
#include <initializer_list>

#include "text/template/syntax/expression_parser.h"
#include "text/template/syntax/lexer.h"
#include "text/template/syntax/token_stream.h"

namespace ruvllm::text::jinja {
namespace {

class Parser {
 public:
  explicit Parser(TokenStream& stream) : stream_(stream), expressions_(stream) {}

  Result<Block> parse_template() {
    RUVLLM_ASSIGN(Block body, parse_block({}));
    if (stream_.current().kind != TokenKind::kEnd) return stream_.unexpected("a statement");
    return body;
  }

 private:
  using Words = std::initializer_list<std::string_view>;

  // Statements up to, and without, a tag that starts with one of `ends`.
  Result<Block> parse_block(Words ends);
  // The body of a statement whose tag is about to be closed, with the tag `{% end %}` behind it.
  Result<Block> parse_body(std::string_view end);
  Status expect_end_tag(std::string_view end);
  Status expect_tag_end() { return stream_.expect(TokenKind::kBlockEnd, "%}"); }
  bool at_tag(Words words) const;

  Status parse_statement(uint32_t offset, Block& out);
  Result<If> parse_if();
  Result<For> parse_for();
  Status parse_set(uint32_t offset, Block& out);
  Result<With> parse_with();
  Result<MacroDefinition> parse_macro();
  Result<CallBlock> parse_call_block();
  Result<FilterBlock> parse_filter_block();
  Status parse_parameters(MacroBody& macro);
  Status parse_macro_body(MacroBody& macro, std::string_view end);
  Result<Target> parse_target();
  Result<Target> parse_single_target();

  TokenStream& stream_;
  ExpressionParser expressions_;
  uint32_t loops_ = 0;  // around this statement, within the same macro
};

bool Parser::at_tag(Words words) const {
  return stream_.current().kind == TokenKind::kBlockBegin &&
         stream_.ahead().kind == TokenKind::kName &&
         std::find(words.begin(), words.end(), stream_.ahead().text) != words.end();
}

Result<Block> Parser::parse_block(Words ends) {
  const TokenStream::Level level(stream_);
  RUVLLM_TRY(stream_.admit_depth());
  Block block;
  while (stream_.current().kind != TokenKind::kEnd && !at_tag(ends)) {
    const Token& token = stream_.advance();
    if (token.kind == TokenKind::kData) {
      block.push_back({token.offset, TextOutput{token.text}});
    } else if (token.kind == TokenKind::kVariableBegin) {
      RUVLLM_ASSIGN(ExpressionPtr value, expressions_.parse_tuple(true));
      RUVLLM_TRY(stream_.expect(TokenKind::kVariableEnd, "}}"));
      block.push_back({token.offset, Output{std::move(value)}});
    } else {
      RUVLLM_TRY(parse_statement(token.offset, block));
    }
  }
  if (ends.size() > 0 && stream_.current().kind == TokenKind::kEnd) {
    return stream_.unexpected(fmt::format("{{% {} %}}", *(ends.end() - 1)));
  }
  return block;
}

Status Parser::expect_end_tag(std::string_view end) {
  stream_.advance();
  if (!stream_.skip_name(end)) return stream_.unexpected(end);
  return expect_tag_end();
}

Result<Block> Parser::parse_body(std::string_view end) {
  RUVLLM_TRY(expect_tag_end());
  RUVLLM_ASSIGN(Block body, parse_block({end}));
  RUVLLM_TRY(expect_end_tag(end));
  return body;
}

// After {%; adds one statement to `out`.
Status Parser::parse_statement(uint32_t offset, Block& out) {
  RUVLLM_ASSIGN(const std::string_view word, stream_.expect_name());
  if (word == "set") return parse_set(offset, out);
  const auto add = [&](auto parsed) -> Status {
    if (!parsed) return std::unexpected<Error>(std::move(parsed).error());
    out.push_back({offset, *std::move(parsed)});
    return {};
  };
  if (word == "if") return add(parse_if());
  if (word == "for") return add(parse_for());
  if (word == "macro") return add(parse_macro());
  if (word == "call") return add(parse_call_block());
  if (word == "filter") return add(parse_filter_block());
  if (word == "with") return add(parse_with());
  if (word == "generation") {
    RUVLLM_ASSIGN(Block body, parse_body("endgeneration"));
    out.push_back({offset, Group{std::move(body)}});
    return {};
  }
  if (word == "break" || word == "continue") {
    if (loops_ == 0) return stream_.error(offset, "{} stands outside a loop", word);
    if (word == "break") {
      out.push_back({offset, Break{}});
    } else {
      out.push_back({offset, Continue{}});
    }
    return expect_tag_end();
  }
  return stream_.error(offset, "unknown or misplaced tag '{}'", word);
}

Result<If> Parser::parse_if() {
  If result;
  for (;;) {
    RUVLLM_ASSIGN(ExpressionPtr condition, expressions_.parse_tuple(false));
    RUVLLM_TRY(expect_tag_end());
    RUVLLM_ASSIGN(Block body, parse_block({"elif", "else", "endif"}));
    result.branches.emplace_back(std::move(condition), std::move(body));
    stream_.advance();
    if (stream_.skip_name("elif")) continue;
    if (stream_.skip_name("else")) {
      RUVLLM_ASSIGN(result.otherwise, parse_body("endif"));
      return result;
    }
    stream_.advance();
    RUVLLM_TRY(expect_tag_end());
    return result;
  }
}

Result<For> Parser::parse_for() {
  For loop;
  RUVLLM_ASSIGN(loop.target, parse_target());
  if (!stream_.skip_name("in")) return stream_.unexpected("in");
  RUVLLM_ASSIGN(loop.iterable, expressions_.parse_tuple(false));
  if (stream_.skip_name("if")) {
    RUVLLM_ASSIGN(loop.filter, expressions_.parse_expression());
  }
  loop.recursive = stream_.skip_name("recursive");
  RUVLLM_TRY(expect_tag_end());
  ++loops_;
  RUVLLM_ASSIGN(loop.body, parse_block({"else", "endfor"}));
  --loops_;
  stream_.advance();
  if (stream_.skip_name("else")) {
    RUVLLM_ASSIGN(loop.otherwise, parse_body("endfor"));
    return loop;
  }
  stream_.advance();
  RUVLLM_TRY(expect_tag_end());
  return loop;
}

Status Parser::parse_set(uint32_t offset, Block& out) {
  RUVLLM_ASSIGN(Target target, parse_target());
  if (stream_.skip_operator("=")) {
    RUVLLM_ASSIGN(ExpressionPtr value, expressions_.parse_tuple(true));
    RUVLLM_TRY(expect_tag_end());
    out.push_back({offset, Set{std::move(target), std::move(value)}});
    return {};
  }
  SetBlock block;
  block.target = std::move(target);
  block.filters = std::make_unique<Expression>(Expression{offset, 0, BlockBody{}});
  if (stream_.skip_operator("|")) {
    RUVLLM_ASSIGN(block.filters, expressions_.parse_filter_chain(std::move(block.filters)));
  }
  RUVLLM_ASSIGN(block.body, parse_body("endset"));
  out.push_back({offset, std::move(block)});
  return {};
}

Result<FilterBlock> Parser::parse_filter_block() {
  auto input = std::make_unique<Expression>(Expression{stream_.current().offset, 0, BlockBody{}});
  FilterBlock block;
  RUVLLM_ASSIGN(block.filters, expressions_.parse_filter_chain(std::move(input)));
  RUVLLM_ASSIGN(block.body, parse_body("endfilter"));
  return block;
}

Result<With> Parser::parse_with() {
  With with;
  while (stream_.current().kind != TokenKind::kBlockEnd) {
    if (!with.assignments.empty()) RUVLLM_TRY(stream_.expect_operator(","));
    RUVLLM_ASSIGN(Target target, parse_single_target());
    RUVLLM_TRY(stream_.expect_operator("="));
    RUVLLM_ASSIGN(ExpressionPtr value, expressions_.parse_expression());
    with.assignments.emplace_back(std::move(target), std::move(value));
  }
  RUVLLM_ASSIGN(with.body, parse_body("endwith"));
  return with;
}

Result<MacroDefinition> Parser::parse_macro() {
  MacroDefinition definition;
  RUVLLM_ASSIGN(definition.macro.name, stream_.expect_name());
  RUVLLM_TRY(parse_parameters(definition.macro));
  RUVLLM_TRY(parse_macro_body(definition.macro, "endmacro"));
  return definition;
}

Result<CallBlock> Parser::parse_call_block() {
  CallBlock block;
  block.caller.name = "caller";
  if (stream_.at_operator("(")) RUVLLM_TRY(parse_parameters(block.caller));
  const uint32_t offset = stream_.current().offset;
  RUVLLM_ASSIGN(block.call, expressions_.parse_expression());
  if (!std::holds_alternative<Call>(block.call->node)) {
    return stream_.error(offset, "{{% call %}} wants the call of a macro");
  }
  RUVLLM_TRY(parse_macro_body(block.caller, "endcall"));
  return block;
}

Status Parser::parse_parameters(MacroBody& macro) {
  RUVLLM_TRY(stream_.expect_operator("("));
  while (!stream_.at_operator(")")) {
    if (!macro.parameters.empty()) RUVLLM_TRY(stream_.expect_operator(","));
    Parameter parameter;
    RUVLLM_ASSIGN(parameter.name, stream_.expect_name());
    if (stream_.skip_operator("=")) {
      RUVLLM_ASSIGN(parameter.fallback, expressions_.parse_expression());
    } else if (!macro.parameters.empty() && macro.parameters.back().fallback != nullptr) {
      return stream_.unexpected("a default, as the parameter before has one,");
    }
    macro.parameters.push_back(std::move(parameter));
  }
  stream_.advance();
  return {};
}

Status Parser::parse_macro_body(MacroBody& macro, std::string_view end) {
  const auto outer_names = std::exchange(expressions_.special_names(), {});
  const uint32_t outer_loops = std::exchange(loops_, 0);
  RUVLLM_ASSIGN(macro.body, parse_body(end));
  loops_ = outer_loops;
  const auto used = std::exchange(expressions_.special_names(), outer_names);
  macro.uses_varargs = used.varargs;
  macro.uses_kwargs = used.kwargs;
  macro.uses_caller = used.caller;
  return {};
}

Result<Target> Parser::parse_target() {
  const TokenStream::Level level(stream_);
  RUVLLM_TRY(stream_.admit_depth());
  const uint32_t offset = stream_.current().offset;
  RUVLLM_ASSIGN(Target first, parse_single_target());
  if (!stream_.at_operator(",")) return first;
  Target tuple;
  tuple.offset = offset;
  tuple.elements.push_back(std::move(first));
  while (stream_.skip_operator(",")) {
    if (stream_.at_name("in") || stream_.at_operator(")") || stream_.at_operator("=")) break;
    RUVLLM_ASSIGN(Target next, parse_single_target());
    tuple.elements.push_back(std::move(next));
  }
  return tuple;
}

Result<Target> Parser::parse_single_target() {
  if (stream_.skip_operator("(")) {
    RUVLLM_ASSIGN(Target inner, parse_target());
    RUVLLM_TRY(stream_.expect_operator(")"));
    return inner;
  }
  Target target;
  target.offset = stream_.current().offset;
  RUVLLM_ASSIGN(target.name, stream_.expect_name());
  if (stream_.skip_operator(".")) {
    RUVLLM_ASSIGN(target.attribute, stream_.expect_name());
  }
  return target;
}

}  // namespace

Result<std::unique_ptr<const Program>> parse_program(std::string_view source, uint32_t max_depth) {
  auto program = std::make_unique<Program>();
  program->source = normalize_source(source);
  RUVLLM_ASSIGN(std::vector<Token> tokens, tokenize(program->source));
  TokenStream stream(*program, std::move(tokens), max_depth);
  RUVLLM_ASSIGN(program->body, Parser(stream).parse_template());
  return program;
}

}  // namespace ruvllm::text::jinja
