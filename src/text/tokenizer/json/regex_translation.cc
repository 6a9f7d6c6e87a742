#include "text/tokenizer/json/regex_translation.h"

#include "text/tokenizer/split/patterns.h"

namespace ruvllm::text {
namespace {

#define RUVLLM_WORD R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})"

class Translator {
 public:
  Translator(std::string_view regex, std::string_view place) : rest_(regex), place_(place) {}

  Result<std::string> run() {
    while (!rest_.empty()) {
      const char next = rest_[0];
      if (next == '\\') {
        RUVLLM_TRY(escape());
      } else if (next == '[' && !(depth_ > 0 && rest_.starts_with("[:"))) {
        open_class();
      } else if (next == ']' && depth_ > 0) {
        --depth_;
        copy(1);
      } else if (depth_ > 0 && rest_.starts_with("&&")) {
        return refuse("an intersection of character classes (&&)");
      } else if (depth_ > 1) {
        return refuse("a character class inside another");
      } else if (depth_ == 0 && (next == '$' || next == '^')) {
        out_ += next == '$' ? R"((?=\n|\z))" : R"((?<![^\n]))";
        rest_.remove_prefix(1);
      } else if (next == '\r' || next == '\n' || next == '\t') {
        out_ += next == '\r' ? R"(\r)" : next == '\n' ? R"(\n)" : R"(\t)";
        rest_.remove_prefix(1);
      } else {
        copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  std::unexpected<Error> refuse(std::string_view what) const {
    return fail(ErrorCode::kUnsupported,
                "{}: its regular expression has {}, which is not supported", place_, what);
  }

  void copy(size_t count) {
    out_ += rest_.substr(0, count);
    rest_.remove_prefix(count);
  }

  void open_class() {
    ++depth_;
    const bool negated = rest_.starts_with("[^");
    copy(negated ? 2 : 1);
    if (rest_.starts_with(']')) copy(1);  // the first one is an ordinary character
  }

  Status escape() {
    if (rest_.size() < 2) return refuse("a backslash at its end");
    const char letter = rest_[1];
    const bool in_class = depth_ > 0;
    const auto put = [&](std::string_view text) -> Status {
      out_ += text;
      rest_.remove_prefix(2);
      return {};
    };
    switch (letter) {
      case 's':
        return put(in_class ? RUVLLM_SPACE : RUVLLM_SPACES);
      case 'S':
        if (in_class) return refuse(R"(\S in a character class)");
        return put("[^" RUVLLM_SPACE "]");
      case 'w':
        return put(in_class ? RUVLLM_WORD : "[" RUVLLM_WORD "]");
      case 'W':
        if (in_class) return refuse(R"(\W in a character class)");
        return put("[^" RUVLLM_WORD "]");
      case 'd':
        return put(R"(\p{Nd})");
      case 'D':
        return put(R"(\P{Nd})");
      case 'h':
        return put(in_class ? "0-9A-Fa-f" : "[0-9A-Fa-f]");
      case 'p':
      case 'P':
        return property();
      default:
        break;
    }
    // Escapes that both read alike: of characters that are no letters or digits, and these.
    const bool letter_or_digit = (letter >= '0' && letter <= '9') ||
                                 (letter >= 'A' && letter <= 'Z') ||
                                 (letter >= 'a' && letter <= 'z');
    constexpr std::string_view kSame = "rntfvexAzbBRGK0";
    if (letter_or_digit && !kSame.contains(letter)) {
      return refuse(std::string("the escape \\") + letter);
    }
    copy(2);
    return {};
  }

  // \p{L}, \p{Han}: scripts without the characters that others share, as PCRE2 calls them by sc.
  Status property() {
    const size_t close = rest_.find('}');
    if (rest_.size() < 4 || rest_[2] != '{' || close == std::string_view::npos) {
      return refuse("a character property without braces");
    }
    std::string_view name = rest_.substr(3, close - 3);
    out_ += rest_.substr(0, 3);
    if (name.starts_with('^')) {
      out_ += '^';
      name.remove_prefix(1);
    }
    if (name == "Alpha" || name == "Alnum" || name == "Space" || name == "Punct" ||
        name == "Word") {
      return refuse("the property " + std::string(name));
    }
    if (name.size() > 2) out_ += "sc:";
    out_.append(name).append("}");
    rest_.remove_prefix(close + 1);
    return {};
  }

  std::string_view rest_;
  std::string_view place_;
  std::string out_;
  int depth_ = 0;  // of character classes
};

}  // namespace

Result<std::string> translate_regex(std::string_view regex, std::string_view place) {
  if (regex == R"(\d{1,3}(?=(?:\d{3})*\b))") return std::string(kDigitGroupsBeforeWordEnd);
  if (regex == R"((?=(\d{3})+(?!\d)))") return std::string(kDigitGroups);
  return Translator(regex, place).run();
}

std::string quote_regex(std::string_view text) {
  std::string quoted;
  for (const char character : text) {
    if (std::string_view("\\^$.[]|()?*+{}-#").contains(character)) quoted += '\\';
    quoted += character;
  }
  return quoted;
}

}  // namespace ruvllm::text
