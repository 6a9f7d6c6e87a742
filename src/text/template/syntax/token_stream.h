// What the statement parser and the expression parser share: the place in the tokens, the nesting
// budget and the messages.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "text/template/syntax/ast.h"
#include "text/template/syntax/lexer.h"
#include "text/template/syntax/location.h"

namespace ruvllm::text::jinja {

class TokenStream {
 public:
  TokenStream(Program& program, std::vector<Token> tokens, uint32_t max_depth)
      : program_(program), tokens_(std::move(tokens)), max_depth_(max_depth) {}

  Program& program() { return program_; }
  const Token& current() const { return tokens_[position_]; }
  const Token& ahead() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  const Token& advance() {
    const Token& token = current();
    if (token.kind != TokenKind::kEnd) ++position_;
    return token;
  }

  bool at_operator(std::string_view text) const { return at(TokenKind::kOperator, text); }
  bool at_name(std::string_view text) const { return at(TokenKind::kName, text); }
  bool at_tag_end() const {
    return current().kind == TokenKind::kBlockEnd || current().kind == TokenKind::kVariableEnd ||
           current().kind == TokenKind::kEnd;
  }
  bool skip_operator(std::string_view text) { return at_operator(text) && skip(); }
  bool skip_name(std::string_view text) { return at_name(text) && skip(); }

  Status expect_operator(std::string_view text) {
    if (skip_operator(text)) return {};
    return unexpected(fmt::format("'{}'", text));
  }
  Status expect(TokenKind kind, std::string_view wanted) {
    if (current().kind != kind) return unexpected(wanted);
    advance();
    return {};
  }
  Result<std::string_view> expect_name() {
    if (current().kind != TokenKind::kName) return unexpected("a name");
    return advance().text;
  }

  std::unexpected<Error> unexpected(std::string_view wanted) const {
    const Token& token = current();
    if (token.kind == TokenKind::kEnd) {
      return error(token.offset, "the template ends where {} is expected", wanted);
    }
    return error(token.offset, "'{}' where {} is expected", token.text.substr(0, 40), wanted);
  }
  template <typename... Args>
  std::unexpected<Error> error(uint32_t offset, fmt::format_string<Args...> format,
                               Args&&... args) const {
    return fail_at(program_.source, offset, ErrorCode::kInvalidArgument, format,
                   std::forward<Args>(args)...);
  }
  template <typename T>
  Result<T> at(uint32_t offset, Result<T> result) const {
    if (result) return result;
    return std::unexpected<Error>(locate(program_.source, offset, std::move(result).error()));
  }

  // One level of nesting for as long as it lives.
  class Level {
   public:
    explicit Level(TokenStream& stream) : stream_(stream) { ++stream_.depth_; }
    ~Level() { --stream_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    TokenStream& stream_;
  };
  Status admit_depth() const { return admit_height(depth_); }
  // Chains of attributes, filters and inline ifs nest the tree without nesting the parser.
  Status admit_height(uint32_t height) const {
    if (height <= max_depth_) return {};
    return fail_at(program_.source, current().offset, ErrorCode::kResourceExhausted,
                   "nested deeper than {} levels; split the template's expressions and blocks",
                   max_depth_);
  }

 private:
  bool at(TokenKind kind, std::string_view text) const {
    return current().kind == kind && current().text == text;
  }
  bool skip() {
    advance();
    return true;
  }

  Program& program_;
  std::vector<Token> tokens_;
  size_t position_ = 0;
  uint32_t depth_ = 0;
  const uint32_t max_depth_;
};

}  // namespace ruvllm::text::jinja
