#include "text/tokenizer/bpe/byte_pair_encoder.h"

#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::text {
namespace {

// Tokens: single letters of `letters`, then one per merge ("a b" makes "ab").
VocabSpec make_spec(std::string_view letters, std::vector<std::string> merges) {
  VocabSpec spec;
  for (const char letter : letters) spec.tokens.emplace_back(1, letter);
  for (const std::string& merge : merges) {
    std::string token = merge;
    token.erase(token.find(' '), 1);
    spec.tokens.push_back(token);
  }
  spec.merges = std::move(merges);
  spec.kinds.assign(spec.tokens.size(), TokenKind::kNormal);
  return spec;
}

BytePairEncoder make_encoder(const VocabSpec& spec) {
  const TokenTable tokens(spec);
  auto merges = MergeTable::build(spec, tokens);
  EXPECT_TRUE(merges.has_value()) << merges.error().message();
  return BytePairEncoder(tokens, *std::move(merges));
}

std::vector<std::string> pieces(const VocabSpec& spec, std::string_view text) {
  BytePairEncoder::Scratch scratch;
  std::vector<TokenId> ids;
  make_encoder(spec).encode(text, scratch, ids);
  std::vector<std::string> texts;
  for (const TokenId id : ids) texts.push_back(spec.tokens[static_cast<size_t>(id)]);
  return texts;
}

// The definition, literally: rescan everything before each merge.
std::vector<std::string> merge_slowly(const VocabSpec& spec, std::string_view text) {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    const size_t space = spec.merges[i].find(' ');
    ranks[{spec.merges[i].substr(0, space), spec.merges[i].substr(space + 1)}] = i;
  }
  std::vector<std::string> symbols;
  for (const char letter : text) symbols.emplace_back(1, letter);
  while (true) {
    std::optional<std::pair<size_t, size_t>> best;  // rank, position
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = ranks.find({symbols[i], symbols[i + 1]});
      if (found == ranks.end()) continue;
      if (!best || found->second < best->first) best = {found->second, i};
    }
    if (!best) return symbols;
    symbols[best->second] += symbols[best->second + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best->second) + 1);
  }
}

using testing::ElementsAre;

TEST(BytePairEncoder, MergesTheBestRankFirstAndTheLeftmostOfEquals) {
  const VocabSpec spec = make_spec("abc", {"b c", "a b", "a bc", "a a", "aa a"});
  EXPECT_THAT(pieces(spec, "abc"), ElementsAre("abc"));
  EXPECT_THAT(pieces(spec, "ab"), ElementsAre("ab"));
  EXPECT_THAT(pieces(spec, "aaaaa"), ElementsAre("aa", "aaa"));
  EXPECT_THAT(pieces(spec, "aaa"), ElementsAre("aaa"));
  EXPECT_THAT(pieces(spec, ""), ElementsAre());
}

TEST(BytePairEncoder, BytesWithoutATokenVanish) {
  const VocabSpec spec = make_spec("ab", {"a b"});
  EXPECT_THAT(pieces(spec, "a?b!"), ElementsAre("ab"));
  EXPECT_THAT(pieces(spec, std::string(50, '?') + "a?b"), ElementsAre("ab"));
  EXPECT_THAT(pieces(spec, std::string(50, '?')), ElementsAre());
}

TEST(BytePairEncoder, AgreesWithTheDefinitionOnRandomMerges) {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    VocabSpec spec = make_spec("abc", {});
    std::vector<std::string> merges;
    for (int i = 0; i < 25; ++i) {
      const std::string& left = spec.tokens[random() % spec.tokens.size()];
      const std::string& right = spec.tokens[random() % spec.tokens.size()];
      const std::string merge = left + " " + right;
      if (left.size() + right.size() > 8 || std::ranges::find(merges, merge) != merges.end())
        continue;
      merges.push_back(merge);
      if (std::ranges::find(spec.tokens, left + right) == spec.tokens.end()) {
        spec.tokens.push_back(left + right);
      }
    }
    spec.merges = merges;
    spec.kinds.assign(spec.tokens.size(), TokenKind::kNormal);
    for (const size_t length : {1u, 7u, 39u, 40u, 41u, 200u}) {
      std::string text(length, 'a');
      for (char& letter : text) letter = "abc"[random() % 3];
      ASSERT_EQ(pieces(spec, text), merge_slowly(spec, text)) << text;
    }
  }
}

TEST(BytePairEncoder, QueuesALinearNumberOfPairs) {
  std::vector<std::string> merges = {"a a"};
  for (size_t length = 2; length <= 1024; length *= 2) {
    merges.push_back(std::string(length, 'a') + " " + std::string(length, 'a'));
  }
  merges.push_back("a b");
  const BytePairEncoder encoder = make_encoder(make_spec("ab", merges));
  for (const size_t length : {size_t{1} << 13, size_t{1} << 14}) {
    for (const std::string& unit : {std::string("a"), std::string("ab"), std::string("aab")}) {
      std::string text;
      while (text.size() < length) text += unit;
      BytePairEncoder::Scratch scratch;
      std::vector<TokenId> ids;
      encoder.encode(text, scratch, ids);
      // Each byte starts one pair; each merge makes at most two new ones.
      EXPECT_LE(scratch.num_queued, 3 * text.size());
    }
  }
}

TEST(MergeTable, NamesTheMergeThatIsWrong) {
  const auto message = [](std::vector<std::string> merges, std::vector<std::string> tokens) {
    VocabSpec spec;
    spec.tokens = std::move(tokens);
    spec.kinds.assign(spec.tokens.size(), TokenKind::kNormal);
    spec.merges = std::move(merges);
    const auto table = MergeTable::build(spec, TokenTable(spec));
    return table.has_value() ? std::string("ok") : table.error().message();
  };
  EXPECT_EQ(message({"a b"}, {"a", "b", "ab"}), "ok");
  EXPECT_THAT(message({"a b", "ab"}, {"a", "b", "ab"}), testing::HasSubstr("merges[1] 'ab'"));
  EXPECT_THAT(message({"a "}, {"a", "b"}), testing::HasSubstr("merges[0] 'a '"));
  EXPECT_THAT(message({""}, {"a", "b"}), testing::HasSubstr("merges[0] ''"));
  EXPECT_THAT(message({"x b"}, {"a", "b"}), testing::HasSubstr("'x' is not a token"));
  EXPECT_THAT(message({"a x"}, {"a", "b"}), testing::HasSubstr("'x' is not a token"));
  EXPECT_THAT(message({"a b"}, {"a", "b"}), testing::HasSubstr("'ab' is not a token"));
  EXPECT_THAT(message({"a 你"}, {"a", "b"}),
              testing::HasSubstr("'\\xe4\\xbd\\xa0' is not a token"));
}

TEST(MergeTable, LeavesOutMergesThatTouchControlTokens) {
  VocabSpec spec = make_spec("ab", {"a b"});
  spec.kinds[2] = TokenKind::kControl;
  EXPECT_THAT(pieces(spec, "ab"), ElementsAre("a", "b"));
}

TEST(MergeTable, OfTwoMergesOfOnePairTheLaterCounts) {
  VocabSpec spec = make_spec("abc", {"a b", "b c"});
  spec.merges.push_back("a b");
  EXPECT_THAT(pieces(spec, "abc"), ElementsAre("a", "bc"));
}

TEST(TokenTable, OfEqualTokensTheLastIsFound) {
  VocabSpec spec = make_spec("abab", {});
  const TokenTable tokens(spec);
  EXPECT_EQ(tokens.find("a"), 2);
  EXPECT_EQ(tokens.find("b"), 3);
  EXPECT_EQ(tokens.find("ab"), kNoToken);
  EXPECT_EQ(tokens.find(""), kNoToken);
}

TEST(TokenTable, FindsTokensOfEveryLengthAndTellsLookAlikesApart) {
  VocabSpec spec;
  for (size_t length = 1; length <= 70; ++length) {
    spec.tokens.push_back(std::string(length, 'x'));
    for (const size_t at : {size_t{0}, length / 2, length - 1}) {
      std::string token(length, 'x');
      token[at] = 'y';
      if (std::ranges::find(spec.tokens, token) == spec.tokens.end()) spec.tokens.push_back(token);
    }
  }
  spec.kinds.assign(spec.tokens.size(), TokenKind::kNormal);
  const TokenTable tokens(spec);
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    EXPECT_EQ(tokens.find(spec.tokens[i]), static_cast<TokenId>(i));
  }
  EXPECT_EQ(tokens.find("z"), kNoToken);
}

}  // namespace
}  // namespace ruvllm::text
