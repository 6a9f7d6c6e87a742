#include "text/tokenizer/split/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <memory>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pcre2.h>

namespace ruvllm::text {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(std::string_view pattern_name, std::string_view text) {
  const auto pattern = find_split_pattern(pattern_name);
  EXPECT_TRUE(pattern.has_value());
  const auto splitter = Splitter::compile(**pattern);
  EXPECT_TRUE(splitter.has_value()) << splitter.error().message();
  std::vector<ByteRange> ranges;
  splitter->split(text, ranges);
  Pieces pieces;
  size_t begin = 0;
  for (const ByteRange& range : ranges) {
    EXPECT_EQ(range.begin, begin);
    EXPECT_GT(range.end, begin);
    pieces.emplace_back(text.substr(begin, range.end - begin));
    begin = range.end;
  }
  EXPECT_EQ(begin, text.size());
  return pieces;
}

// Expected pieces follow from the published regular expressions, by hand.
TEST(Splitter, CutsAsGpt2) {
  EXPECT_EQ(split("gpt-2", "Hello, world!"), (Pieces{"Hello", ",", " world", "!"}));
  EXPECT_EQ(split("gpt-2", "I'll don't WE'VE"),
            (Pieces{"I", "'ll", " don", "'t", " WE", "'", "VE"}));
  EXPECT_EQ(split("gpt-2", "a   b\n\n c"), (Pieces{"a", "  ", " b", "\n\n", " c"}));
  EXPECT_EQ(split("gpt-2", "x  "), (Pieces{"x", "  "}));
  EXPECT_EQ(split("gpt-2", "a\tb"), (Pieces{"a", "\t", "b"}));
  EXPECT_EQ(split("gpt-2", "12345 67"), (Pieces{"12345", " 67"}));
  EXPECT_EQ(split("gpt-2", "été ¾½ 你好"), (Pieces{"été", " ¾½", " 你好"}));
  EXPECT_EQ(split("gpt-2", "<|im_end|>"), (Pieces{"<|", "im", "_", "end", "|>"}));
  EXPECT_EQ(split("gpt-2", ""), Pieces{});
}

TEST(Splitter, CutsAsLlama3) {
  EXPECT_EQ(split("llama-bpe", "I'LL 'Twas"), (Pieces{"I", "'LL", " '", "Twas"}));
  EXPECT_EQ(split("llama-bpe", "1234567 89"), (Pieces{"123", "456", "7", " ", "89"}));
  EXPECT_EQ(split("llama-bpe", "(foo) .bar"), (Pieces{"(foo", ")", " .", "bar"}));
  EXPECT_EQ(split("llama-bpe", "end.\r\n\r\nNext"), (Pieces{"end", ".\r\n\r\n", "Next"}));
  EXPECT_EQ(split("llama-bpe", "a \n \n  b"), (Pieces{"a", " \n \n", " ", " b"}));
  EXPECT_EQ(split("llama-bpe", "a\t\tb"), (Pieces{"a", "\t", "\tb"}));
  EXPECT_EQ(split("llama-bpe", "x\n"), (Pieces{"x", "\n"}));
  // Case folding without regard to language: LATIN SMALL LETTER LONG S is an s.
  EXPECT_EQ(split("llama-bpe", "a'ſb"), (Pieces{"a", "'ſ", "b"}));
}

TEST(Splitter, CutsAsQwen2) {
  EXPECT_EQ(split("qwen2", "x = 123;"), (Pieces{"x", " =", " ", "1", "2", "3", ";"}));
  EXPECT_EQ(split("qwen2", "é\u0301a"), (Pieces{"é", "\u0301a"}));  // a mark is no letter
}

TEST(Splitter, CutsAsTheDefaultOfFilesThatNameNone) {
  EXPECT_EQ(split("", "a1234 (b)!!"), (Pieces{"a", "123", "4", " ", "(", "b", ")!!"}));
  EXPECT_EQ(split("default", "x 12  y"), (Pieces{"x", " ", "12", " ", " y"}));
}

// Expected pieces follow from each model's published tokenizer.json, by hand.
TEST(Splitter, CutsAsTheOtherFamilies) {
  EXPECT_EQ(split("starcoder", "a12 b"), (Pieces{"a", "1", "2", " b"}));
  EXPECT_EQ(split("falcon", "x==1234 a"), (Pieces{"x", "==", "123", "4", " a"}));
  EXPECT_EQ(split("qwen35", "e\u0301a"), Pieces{"e\u0301a"});
  EXPECT_EQ(split("deepseek-llm", "a\n 12  \n"), (Pieces{"a", "\n", " ", "12", "  ", "\n"}));
  EXPECT_EQ(split("deepseek-coder", "ab 12,你"), (Pieces{"ab", " ", "1", "2", ",", "你"}));
  EXPECT_EQ(split("deepseek-v3", "1234你a.b"), (Pieces{"123", "4", "你", "a", ".b"}));
  EXPECT_EQ(split("tekken", "HelloWorld ABC1"), (Pieces{"Hello", "World", " ABC", "1"}));
  EXPECT_EQ(split("gpt-4o", "HelloWORLD's 1234/\n"),
            (Pieces{"Hello", "WORLD's", " ", "123", "4", "/\n"}));
  EXPECT_EQ(split("kimi-k2", "  你好abc你"), (Pieces{" ", " ", "你好", "abc", "你"}));
  EXPECT_EQ(split("bloom", "Hello, (world"), (Pieces{"Hello", ", (", "world"}));
  EXPECT_EQ(split("viking", "a12"), (Pieces{"a", "1", "2"}));
  EXPECT_EQ(split("tiny_aya", "1234567 12ab"), (Pieces{"1", "234", "567", " ", "12", "ab"}));
  EXPECT_EQ(split("superbpe", "a 1234 b"), (Pieces{"a ", "1", "234", " b"}));
  EXPECT_EQ(split("afmoe", "12345a"), (Pieces{"12", "345", "a"}));
  EXPECT_EQ(split("seed-coder", "a!\n"), (Pieces{"a", "!", "\n"}));
  EXPECT_EQ(split("bailingmoe", "a\n\nb"), (Pieces{"a", "\n\n", "b"}));
  EXPECT_EQ(split("exaone-moe", "ab cd  e"), (Pieces{"ab cd", " ", " e"}));
  EXPECT_EQ(split("jais-2", "a       b"), (Pieces{"a", "    ", "  ", " b"}));
  EXPECT_EQ(split("gemma4", "a b\n\nc"), (Pieces{"a b", "\n\n", "c"}));
  EXPECT_EQ(split("youtu", "한국。a"), (Pieces{"한국", "。", "a"}));
  EXPECT_EQ(split("chameleon", "IMGIMGABZ x1"), (Pieces{"IMGIMGABZ", " x", "1"}));
  EXPECT_EQ(split("minicpm5", "1234a"), (Pieces{"123", "4", "a"}));
  EXPECT_EQ(split("spark2_5", "!\n1"), (Pieces{"!", "\n", "1"}));
  EXPECT_EQ(split("laguna", "a\nb"), (Pieces{"a", "\n", "b"}));
  EXPECT_EQ(split("ufakzeka", "a'ya"), (Pieces{"a", "'ya"}));
}

// Every behavior on "the-final--countdown", as the documentation of Hugging Face has it.
TEST(Splitter, TreatsMatchesAsItsBehaviorSays) {
  const auto cut = [](SplitBehavior behavior, bool invert = false) {
    const PreTokenizerStep step{.pattern = "-", .behavior = behavior, .invert = invert};
    const auto splitter = Splitter::compile({&step, 1}, "test");
    const std::string_view text = "the-final--countdown";
    std::vector<ByteRange> ranges;
    splitter->split(text, ranges);
    Pieces pieces;
    for (const ByteRange& range : ranges) {
      pieces.emplace_back(text.substr(range.begin, range.end - range.begin));
    }
    return pieces;
  };
  EXPECT_EQ(cut(SplitBehavior::kRemoved), (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(cut(SplitBehavior::kIsolated), (Pieces{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(cut(SplitBehavior::kMergedWithPrevious), (Pieces{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(cut(SplitBehavior::kMergedWithNext), (Pieces{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(cut(SplitBehavior::kContiguous), (Pieces{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(cut(SplitBehavior::kRemoved, true), (Pieces{"-", "-", "-"}));
}

TEST(Splitter, LongRepeatedGroupsDoNotEndTheSplitting) {
  const PreTokenizerStep step{.pattern = "(?:(?!x)(a|b))+"};
  const auto splitter = Splitter::compile({&step, 1}, "test");
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "ab";
  std::vector<ByteRange> ranges;
  splitter->split(text + "x" + text, ranges);
  EXPECT_EQ(ranges.size(), 3u);
}

TEST(Splitter, CountsAsSpaceWhatUnicodeDoes) {
  for (const char* space : {"\t", "\v", "\f", "\u0085", "\u00A0", "\u1680", "\u2003", "\u2028",
                            "\u202F", "\u205F", "\u3000"}) {
    EXPECT_EQ(split("gpt-2", std::string("!") + space + "!"), (Pieces{"!", space, "!"}));
  }
  for (const char* other : {"\u180E", "\u200B", "\uFEFF", "\u2060", "\x1c"}) {
    const std::string text = std::string("!") + other + "!";
    EXPECT_EQ(split("gpt-2", text), Pieces{text});
  }
}

TEST(Splitter, MakesRunsOfInvalidBytesPieces) {
  EXPECT_EQ(split("qwen2", "ab\xFF\xC0\x80 cd\xE2\x82"),
            (Pieces{"ab", "\xFF\xC0\x80", " cd", "\xE2\x82"}));
  EXPECT_EQ(split("gpt-2", "a  \xFFz"),
            (Pieces{"a", "  ", "\xFF", "z"}));  // a run ends like a text
}

TEST(Splitter, NamesUnknownPatternsAndTheKnownOnes) {
  const auto unknown = find_split_pattern("klingon");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(unknown.error().message(), testing::HasSubstr("'klingon'"));
  EXPECT_THAT(unknown.error().message(), testing::HasSubstr("qwen2"));
  EXPECT_THAT(unknown.error().message(), testing::HasSubstr("llama-bpe"));
}

// A second implementation, of the three patterns' definitions, without regular expressions. It
// knows the classes of the characters of kAlphabet only.
struct Character {
  const char* text;
  char kind;  // L letter, N number, S space, R carriage return or line feed, O other
};
constexpr Character kAlphabet[] = {
    {"a", 'L'},      {"s", 'L'},      {"T", 'L'},      {"l", 'L'},      {"L", 'L'},
    {"r", 'L'},      {"e", 'L'},      {"V", 'L'},      {"é", 'L'},      {"你", 'L'},
    {"ª", 'L'},      {"𐐀", 'L'},      {"0", 'N'},      {"7", 'N'},      {"²", 'N'},
    {"Ⅷ", 'N'},      {"٣", 'N'},      {" ", 'S'},      {" ", 'S'},      {" ", 'S'},
    {"\t", 'S'},     {"\u00A0", 'S'}, {"\u3000", 'S'}, {"\u2028", 'S'}, {"\n", 'R'},
    {"\r", 'R'},     {"'", 'O'},      {"'", 'O'},      {"!", 'O'},      {"_", 'O'},
    {"\u0301", 'O'}, {"🙂", 'O'},     {"\u200D", 'O'}, {"\0", 'O'},     {"€", 'O'}};

class Reference {
 public:
  Reference(std::vector<Character> text, bool gpt2, size_t max_digits)
      : text_(std::move(text)), gpt2_(gpt2), max_digits_(max_digits) {}

  Pieces split() const {
    Pieces pieces;
    for (size_t at = 0; at < text_.size();) {
      const size_t end = gpt2_ ? gpt2_end(at) : tiktoken_end(at);
      std::string& piece = pieces.emplace_back();
      for (; at < end; ++at)
        piece += *text_[at].text == '\0' ? std::string(1, '\0') : text_[at].text;
    }
    return pieces;
  }

 private:
  char kind(size_t i) const { return i < text_.size() ? text_[i].kind : '$'; }
  bool is(size_t i, std::string_view kinds) const { return kinds.contains(kind(i)); }
  bool is_text(size_t i, std::string_view text) const {
    return i < text_.size() && text_[i].text == text;
  }
  size_t run(size_t i, std::string_view kinds) const {
    while (is(i, kinds)) ++i;
    return i;
  }

  size_t contraction_end(size_t at, bool any_case) const {
    if (!is_text(at, "'")) return at;
    for (const std::string_view suffix : {"s", "t", "re", "ve", "m", "ll", "d"}) {
      size_t i = 0;
      for (; i < suffix.size(); ++i) {
        const std::string lower(1, suffix[i]);
        const std::string upper(1, static_cast<char>(suffix[i] - 32));
        if (!is_text(at + 1 + i, lower) && !(any_case && is_text(at + 1 + i, upper))) break;
      }
      if (i == suffix.size()) return at + 1 + i;
    }
    return at;
  }

  size_t spaces_end(size_t at) const {  // \s+(?!\S)|\s+
    const size_t end = run(at, "SR");
    return end == text_.size() || end == at + 1 ? end : end - 1;
  }

  size_t gpt2_end(size_t at) const {
    if (const size_t end = contraction_end(at, false); end > at) return end;
    const size_t first = is_text(at, " ") ? at + 1 : at;
    for (const char* kinds : {"L", "N", "O"}) {
      if (is(first, kinds)) return run(first, kinds);
    }
    return spaces_end(at);
  }

  size_t tiktoken_end(size_t at) const {
    if (const size_t end = contraction_end(at, true); end > at) return end;
    if (is(at, "L")) return run(at, "L");
    if (is(at, "SO") && is(at + 1, "L")) return run(at + 1, "L");
    if (is(at, "N")) return std::min(run(at, "N"), at + max_digits_);
    const size_t first = is_text(at, " ") ? at + 1 : at;
    if (is(first, "O")) return run(run(first, "O"), "R");
    const size_t end = run(at, "SR");
    for (size_t last = end; last > at; --last) {
      if (is(last - 1, "R")) return last;
    }
    return spaces_end(at);
  }

  std::vector<Character> text_;
  bool gpt2_;
  size_t max_digits_;
};

TEST(Splitter, AgreesWithASecondImplementationOnRandomText) {
  std::mt19937 random(20240607);
  std::uniform_int_distribution<size_t> pick(0, std::size(kAlphabet) - 1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<Character> characters(pick(random));
    std::string text;
    for (Character& character : characters) {
      character = kAlphabet[pick(random)];
      text += *character.text == '\0' ? std::string(1, '\0') : character.text;
    }
    ASSERT_EQ(split("gpt-2", text), Reference(characters, true, 0).split());
    ASSERT_EQ(split("llama-bpe", text), Reference(characters, false, 3).split());
    ASSERT_EQ(split("qwen2", text), Reference(characters, false, 1).split());
  }
}

// The work of cutting `text` by one stage, as the number of items of the pattern that PCRE2 tries:
// it calls back before each.
size_t count_steps(std::string_view stage, std::string_view text) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(stage.data()), stage.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_AUTO_CALLOUT, &error, &offset, nullptr),
      pcre2_code_free);
  const std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context(
      pcre2_match_context_create(nullptr), pcre2_match_context_free);
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  size_t steps = 0;
  pcre2_set_callout(
      context.get(),
      [](pcre2_callout_block*, void* count) {
        ++*static_cast<size_t*>(count);
        return 0;
      },
      &steps);
  size_t at = 0;
  while (at < text.size() &&
         pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                     PCRE2_NO_UTF_CHECK, match.get(), context.get()) > 0) {
    at = pcre2_get_ovector_pointer(match.get())[1];
  }
  return steps;
}

TEST(Splitter, EveryPatternIsLinearOnHostileText) {
  constexpr size_t kSize = 1 << 11;
  constexpr size_t kMaxStepsPerByte = 24;
  // That the count tells: this one looks for the end of the text from every space.
  ASSERT_GT(count_steps(R"(\s+$|.)", std::string(kSize, ' ') + "x"), 10 * kMaxStepsPerByte * kSize);
  const std::string units[] = {"a",  " ",      "\n",       "\t ", "\n ",    "a ",
                               "'",  "!",      "1",        "é",   "é ",     "!\n",
                               " !", "\u3000", "\u3000\n", "'l",  "'L\r\n", "你1"};
  for (const std::string& unit : units) {
    std::string repeated;
    while (repeated.size() < kSize) repeated += unit;
    for (const std::string& text : {repeated, repeated + "x", "\n" + repeated + "\nx"}) {
      for (const SplitPattern& pattern : split_patterns()) {
        for (const std::string_view stage : pattern.stages) {
          EXPECT_LE(count_steps(stage, text), kMaxStepsPerByte * text.size())
              << pattern.names[0] << " on " << testing::PrintToString(unit);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ruvllm::text
