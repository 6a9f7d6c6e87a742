#include "text/template/syntax/lexer.h"

#include <algorithm>
#include <array>

#include "text/template/syntax/location.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }
bool is_sign(char c) { return c == '-' || c == '+'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (position_ < source_.size()) RUVLLM_TRY(lex_text());
    add(TokenKind::kEnd, source_.size(), 0);
    return std::move(tokens_);
  }

 private:
  Status lex_text();
  Status skip_comment(size_t begin);
  Result<bool> lex_raw(size_t begin);
  Status lex_tag(size_t begin, bool block);
  bool lex_tag_end(std::string_view closing, TokenKind kind);
  Status lex_expression_token();
  Status lex_string();
  Status lex_number();
  Status lex_operator();

  char peek(size_t ahead = 0) const {
    return position_ + ahead < source_.size() ? source_[position_ + ahead] : '\0';
  }
  void add(TokenKind kind, size_t begin, size_t length) {
    tokens_.push_back({kind, static_cast<uint32_t>(begin), source_.substr(begin, length)});
  }
  void add_text(size_t begin, size_t end, char sign, bool strip_line);
  void skip_space() { position_ = source_.size() - strip_left(source_.substr(position_)).size(); }
  // After a block or comment: `-` eats all white space, nothing eats one line end, `+` eats none.
  void finish_tag(char sign) {
    if (sign == '-') skip_space();
    if (sign == '\0' && peek() == '\n') ++position_;
    line_starting_ = position_ > 0 && source_[position_ - 1] == '\n';
  }
  template <typename... Args>
  std::unexpected<Error> error(size_t offset, fmt::format_string<Args...> format, Args&&... args) {
    return fail_at(source_, static_cast<uint32_t>(offset), ErrorCode::kInvalidArgument, format,
                   std::forward<Args>(args)...);
  }

  std::string_view source_;
  size_t position_ = 0;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
  std::vector<char> brackets_;  // the closing ones that are still to come
};

void Lexer::add_text(size_t begin, size_t end, char sign, bool strip_line) {
  std::string_view text = source_.substr(begin, end - begin);
  if (sign == '-') {
    text = strip_right(text);
  } else if (sign != '+' && strip_line) {
    const size_t line_begin = text.rfind('\n') + 1;  // npos + 1 is 0
    if ((line_begin > 0 || line_starting_) && strip_left(text.substr(line_begin)).empty()) {
      text = text.substr(0, line_begin);
    }
  }
  if (!text.empty()) add(TokenKind::kData, begin, text.size());
}

Status Lexer::lex_text() {
  const size_t begin = position_;
  size_t tag = begin;
  for (;; ++tag) {
    tag = source_.find('{', tag);
    if (tag == std::string_view::npos || tag + 1 >= source_.size()) {
      add_text(begin, source_.size(), '+', false);
      position_ = source_.size();
      return {};
    }
    const char kind = source_[tag + 1];
    if (kind == '{' || kind == '%' || kind == '#') break;
  }
  const char kind = source_[tag + 1];
  const char next = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
  const char sign = is_sign(next) ? next : '\0';
  add_text(begin, tag, sign, kind != '{');
  position_ = tag + (sign == '\0' ? 2 : 3);
  if (kind == '#') return skip_comment(tag);
  if (kind == '%') {
    RUVLLM_ASSIGN(const bool raw, lex_raw(tag));
    if (raw) return {};
  }
  return lex_tag(tag, kind == '%');
}

Status Lexer::skip_comment(size_t begin) {
  const size_t end = source_.find("#}", position_);
  if (end == std::string_view::npos) {
    return error(begin, "the comment is not closed; add #}}");
  }
  const char sign = end > position_ && is_sign(source_[end - 1]) ? source_[end - 1] : '\0';
  position_ = end + 2;
  finish_tag(sign);
  return {};
}

// {% raw %} ... {% endraw %}; position_ is after the opening delimiter.
Result<bool> Lexer::lex_raw(size_t begin) {
  const size_t restart = position_;
  const auto word = [this](std::string_view name) {
    skip_space();
    if (!source_.substr(position_).starts_with(name)) return false;
    position_ += name.size();
    skip_space();
    return true;
  };
  if (!word("raw") || !(source_.substr(position_).starts_with("%}") ||
                        source_.substr(position_).starts_with("-%}"))) {
    position_ = restart;
    return false;
  }
  const bool strip = peek() == '-';
  position_ += strip ? 3 : 2;
  if (strip) skip_space();
  line_starting_ = source_[position_ - 1] == '\n';
  const size_t text_begin = position_;
  for (size_t tag = text_begin;; ++tag) {
    tag = source_.find("{%", tag);
    if (tag == std::string_view::npos) break;
    position_ = tag + 2;
    const char sign = is_sign(peek()) ? peek() : '\0';
    if (sign != '\0') ++position_;
    if (!word("endraw")) continue;
    const char end_sign = is_sign(peek()) ? peek() : '\0';
    if (end_sign != '\0') ++position_;
    if (!source_.substr(position_).starts_with("%}")) continue;
    position_ += 2;
    add_text(text_begin, tag, sign, true);
    finish_tag(end_sign);
    return true;
  }
  return error(begin, "the raw block is not closed; add {{% endraw %}}");
}

Status Lexer::lex_tag(size_t begin, bool block) {
  add(block ? TokenKind::kBlockBegin : TokenKind::kVariableBegin, begin, 2);
  brackets_.clear();
  for (;;) {
    skip_space();
    if (position_ >= source_.size()) {
      return error(begin, "the tag is not closed; add {}", block ? "%}" : "}}");
    }
    if (brackets_.empty() &&
        lex_tag_end(block ? "%}" : "}}", block ? TokenKind::kBlockEnd : TokenKind::kVariableEnd)) {
      return {};
    }
    RUVLLM_TRY(lex_expression_token());
  }
}

bool Lexer::lex_tag_end(std::string_view closing, TokenKind kind) {
  const bool block = kind == TokenKind::kBlockEnd;
  const bool signed_end = peek() == '-' || (block && peek() == '+');
  if (!source_.substr(position_ + (signed_end ? 1 : 0)).starts_with(closing)) return false;
  const char sign = signed_end ? peek() : '\0';
  add(kind, position_, 2);
  position_ += signed_end ? 3 : 2;
  // A variable's end eats white space on demand only, never a line end by itself.
  finish_tag(block || sign == '-' ? sign : '+');
  return true;
}

Status Lexer::lex_expression_token() {
  const char c = peek();
  if (is_name_start(c)) {
    const size_t begin = position_;
    while (is_name_part(peek())) ++position_;
    add(TokenKind::kName, begin, position_ - begin);
    return {};
  }
  if (is_digit(c)) return lex_number();
  if (c == '"' || c == '\'') return lex_string();
  return lex_operator();
}

Status Lexer::lex_string() {
  const size_t begin = position_;
  const char quote = peek();
  for (++position_; position_ < source_.size(); ++position_) {
    if (peek() == '\\') {
      ++position_;
    } else if (peek() == quote) {
      add(TokenKind::kString, begin + 1, position_ - begin - 1);
      tokens_.back().offset = static_cast<uint32_t>(begin);
      ++position_;
      return {};
    }
  }
  return error(begin, "the string is not closed; add {}", quote);
}

Status Lexer::lex_number() {
  const size_t begin = position_;
  const char base = static_cast<char>(peek(1) | 0x20);
  if (peek() == '0' && (base == 'x' || base == 'o' || base == 'b')) {
    position_ += 2;
    while (is_name_part(peek())) ++position_;
    add(TokenKind::kInteger, begin, position_ - begin);
    return {};
  }
  const auto digits = [this] {
    while (is_digit(peek()) || (peek() == '_' && is_digit(peek(1)))) ++position_;
  };
  TokenKind kind = TokenKind::kInteger;
  digits();
  if (peek() == '.' && is_digit(peek(1))) {
    kind = TokenKind::kFloat;
    ++position_;
    digits();
  }
  const bool exponent = (peek() | 0x20) == 'e';
  if (exponent && (is_digit(peek(1)) || (is_sign(peek(1)) && is_digit(peek(2))))) {
    kind = TokenKind::kFloat;
    position_ += 2;
    digits();
  }
  add(kind, begin, position_ - begin);
  return {};
}

Status Lexer::lex_operator() {
  static constexpr std::array<std::string_view, 6> kDouble = {"//", "**", "==", "!=", "<=", ">="};
  static constexpr std::string_view kSingle = "+-/*%~[](){}<>=.:|,;";
  const std::string_view two = source_.substr(position_, 2);
  if (std::find(kDouble.begin(), kDouble.end(), two) != kDouble.end()) {
    add(TokenKind::kOperator, position_, 2);
    position_ += 2;
    return {};
  }
  const char c = peek();
  if (kSingle.find(c) == std::string_view::npos || c == '\0') {
    return error(position_, "unexpected character '{}' in a tag",
                 source_.substr(position_, decode(source_, position_).length));
  }
  if (c == '(' || c == '[' || c == '{') {
    brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
  } else if (c == ')' || c == ']' || c == '}') {
    if (brackets_.empty() || brackets_.back() != c) {
      return error(position_, "unexpected '{}': no bracket of that kind is open", c);
    }
    brackets_.pop_back();
  }
  add(TokenKind::kOperator, position_, 1);
  ++position_;
  return {};
}

}  // namespace

std::string normalize_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') continue;
      out.push_back('\n');
    } else {
      out.push_back(source[i]);
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace ruvllm::text::jinja
