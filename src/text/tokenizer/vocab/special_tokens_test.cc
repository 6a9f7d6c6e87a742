#include "text/tokenizer/vocab/special_tokens.h"

#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::text {
namespace {

VocabSpec make_spec(std::vector<std::string> tokens, TokenKind kind) {
  VocabSpec spec;
  spec.kinds.assign(tokens.size(), kind);
  spec.tokens = std::move(tokens);
  return spec;
}

// "id@begin-end" for each match.
std::vector<std::string> found(const SpecialTokens& specials, std::string_view text,
                               bool with_control = true) {
  std::vector<std::string> matches;
  for (const SpecialMatch& match : specials.find(text, with_control)) {
    matches.push_back(std::to_string(match.id) + "@" + std::to_string(match.begin) + "-" +
                      std::to_string(match.end));
  }
  return matches;
}

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SpecialTokens, FindsTheLeftmostThenTheLongest) {
  const SpecialTokens specials(
      make_spec({"<a>", "<a><b>", "b><c", "aaa", "aab"}, TokenKind::kControl));
  EXPECT_THAT(found(specials, "<a><b><c"), ElementsAre("1@0-6"));
  EXPECT_THAT(found(specials, "<a> <a><b"), ElementsAre("0@0-3", "0@4-7"));
  EXPECT_THAT(found(specials, "<b><c"), ElementsAre("2@1-5"));
  EXPECT_THAT(found(specials, "aaaab"), ElementsAre("3@0-3"));
  EXPECT_THAT(found(specials, "aab aaa"), ElementsAre("4@0-3", "3@4-7"));
  EXPECT_THAT(found(specials, ""), IsEmpty());
  EXPECT_THAT(found(specials, "<a"), IsEmpty());
}

TEST(SpecialTokens, LiteralPlacesAreNotMatched) {
  const SpecialTokens specials(make_spec({"<a>", "<b>"}, TokenKind::kControl));
  const ByteRange literal[] = {{3, 5}, {9, 11}};
  std::vector<size_t> begins;
  for (const SpecialMatch& match : specials.find("<a><a><b><a>", true, literal)) {
    begins.push_back(match.begin);
  }
  EXPECT_THAT(begins, ElementsAre(0, 6));
}

TEST(SpecialTokens, ControlTokensOnlyWhenAsked) {
  VocabSpec spec = make_spec({"<c>", "<u>", "<c><u>", "plain", ""}, TokenKind::kControl);
  spec.kinds[1] = TokenKind::kUserDefined;
  spec.kinds[3] = TokenKind::kNormal;
  const SpecialTokens specials(spec);
  EXPECT_THAT(found(specials, "<c><u>plain", false), ElementsAre("1@3-6"));
  EXPECT_THAT(found(specials, "<c><u>plain", true), ElementsAre("2@0-6"));
}

TEST(SpecialTokens, OfEqualTextsTheLastCounts) {
  EXPECT_THAT(found(SpecialTokens(make_spec({"<x>", "<x>"}, TokenKind::kControl)), "<x>"),
              ElementsAre("1@0-3"));
}

TEST(SpecialTokens, AgreesWithTryingEveryTokenEverywhere) {
  std::mt19937 random(3);
  const auto random_text = [&random](size_t max_length) {
    std::string text(std::uniform_int_distribution<size_t>(1, max_length)(random), 'a');
    for (char& character : text) character = "ab<"[random() % 3];
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> tokens(1 + random() % 12);
    for (std::string& token : tokens) token = random_text(6);
    const SpecialTokens specials(make_spec(tokens, TokenKind::kUserDefined));
    const std::string text = random_text(60);
    std::vector<std::string> expected;
    for (size_t at = 0; at < text.size();) {
      size_t best_length = 0;
      size_t best = 0;
      for (size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i].size() >= best_length && text.compare(at, tokens[i].size(), tokens[i]) == 0) {
          best_length = tokens[i].size();
          best = i;
        }
      }
      if (best_length > 0) {
        expected.push_back(std::to_string(best) + "@" + std::to_string(at) + "-" +
                           std::to_string(at + best_length));
      }
      at += std::max<size_t>(best_length, 1);
    }
    ASSERT_EQ(found(specials, text, false), expected) << text;
  }
}

// Trying every token at every position would take 10^11 comparisons here.
TEST(SpecialTokens, ManyLongTokensWithCommonPrefixesDoNotMultiplyTheWork) {
  std::vector<std::string> tokens;
  for (size_t length = 1000; length < 3000; ++length)
    tokens.push_back(std::string(length, 'a') + "!");
  tokens.push_back("a");
  const SpecialTokens specials(make_spec(tokens, TokenKind::kUserDefined));
  const std::string text(100'000, 'a');
  EXPECT_EQ(specials.find(text, false).size(), text.size());
}

}  // namespace
}  // namespace ruvllm::text
