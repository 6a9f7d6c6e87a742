// The encoders of SentencePiece and WordPiece vocabularies: rules, what is unknown, hostile text.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tokenizer/encoders/byte_fallback.h"
#include "text/tokenizer/encoders/score_encoder.h"
#include "text/tokenizer/encoders/trie.h"
#include "text/tokenizer/encoders/unigram_encoder.h"
#include "text/tokenizer/test_vocab.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {
namespace {

using Ids = std::vector<TokenId>;
using testing::HasSubstr;

TokenId add_scored(VocabSpec& spec, const std::string& text, float score,
                   TokenKind kind = TokenKind::kNormal) {
  spec.scores.push_back(score);
  return add_token(spec, text, kind);
}

// <unk> 0, <s> 1, </s> 2, the bytes 3 to 258.
VocabSpec scored_vocab(const std::string& model) {
  VocabSpec spec;
  spec.model = model;
  spec.unk_id = add_scored(spec, "<unk>", 0, TokenKind::kUnknown);
  spec.bos_id = add_scored(spec, "<s>", 0, TokenKind::kControl);
  spec.eos_id = add_scored(spec, "</s>", 0, TokenKind::kControl);
  for (int byte = 0; byte < 256; ++byte) {
    add_scored(spec, fmt::format("<0x{:02X}>", byte), 0, TokenKind::kByte);
  }
  return spec;
}

std::shared_ptr<const Tokenizer> build(const VocabSpec& spec) {
  auto tokenizer = Tokenizer::build(spec);
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message();
  return *tokenizer;
}

TEST(ScoreEncoder, MergesTheBestScoreFirstThenTheLeftmost) {
  VocabSpec spec = scored_vocab("llama");
  const TokenId a = add_scored(spec, "a", -9);
  const TokenId b = add_scored(spec, "b", -9);
  const TokenId ab = add_scored(spec, "ab", -2);
  const TokenId ba = add_scored(spec, "ba", -1);
  const TokenId aa = add_scored(spec, "aa", -3);
  const auto tokenizer = build(spec);
  EXPECT_EQ(tokenizer->encode("aba", {}), (Ids{a, ba}));
  EXPECT_EQ(tokenizer->encode("abb", {}), (Ids{ab, b}));
  EXPECT_EQ(tokenizer->encode("aaa", {}), (Ids{aa, a}));
}

TEST(ScoreEncoder, UsesBytesForWhatItLacks) {
  VocabSpec spec = scored_vocab("llama");
  const TokenId space = add_scored(spec, "\u2581", -1);
  const TokenId a = add_scored(spec, "a", -2);
  spec.add_space_prefix = true;
  spec.add_bos = true;
  const auto tokenizer = build(spec);
  EXPECT_EQ(tokenizer->encode("aé\xFF", {.add_special = true}),
            (Ids{1, space, a, 3 + 0xC3, 3 + 0xA9, 3 + 0xFF}));
  EXPECT_EQ(tokenizer->encode("", {.add_special = true}), Ids{1});
  for (const std::string text : {"a", " a ", "héllo 🙂\n\tx", "\xFF\xC0 \x80", "\u2581"}) {
    const Ids ids = tokenizer->encode(text, {});
    if (text != "\u2581") {
      EXPECT_EQ(tokenizer->decode(ids, true), text);
    }
  }
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("\u2581", {}), true), " ");
}

TEST(ScoreEncoder, TextNeverBecomesAControlOrByteToken) {
  VocabSpec spec = scored_vocab("llama");
  for (const char* part : {"<", "s", ">", "0", "x", "4", "1", "<s", "<0", "<0x", "<0x4", "<0x41"}) {
    add_scored(spec, part, -1);
  }
  const auto tokenizer = build(spec);
  for (const TokenId id : tokenizer->encode("<s> <0x41>", {})) {
    EXPECT_NE(tokenizer->spec().kinds[static_cast<size_t>(id)], TokenKind::kControl);
    EXPECT_NE(id, 3 + 0x41);
  }
  EXPECT_EQ(tokenizer->encode("<s>", {.parse_special = true}), Ids{1});
}

// Each merge queues at most two pairs.
TEST(ScoreEncoder, DoesLinearlyManyMergesOnOneMegabyte) {
  VocabSpec spec = scored_vocab("llama");
  for (size_t length = 1; length <= 16; ++length) {
    add_scored(spec, std::string(length, 'a'), -static_cast<float>(length));
    add_scored(spec, std::string(length, 'a') + "b", -static_cast<float>(20 - length));
  }
  resolve_kinds(spec);
  const ScoreEncoder encoder(spec, std::make_shared<const TokenTable>(spec, TokenSpelling::kPlain));
  constexpr size_t kSize = 1 << 20;
  for (const std::string& text : {std::string(kSize, 'a'), std::string(kSize - 1, 'a') + 'b'}) {
    EncodeScratch scratch;
    Ids ids;
    encoder.encode(text, scratch, ids);
    EXPECT_LE(scratch.merging.num_queued, 3 * kSize);
    EXPECT_LT(ids.size(), kSize);
  }
}

TEST(Unigram, TakesTheBestSumOfScores) {
  VocabSpec spec = scored_vocab("t5");
  const TokenId a = add_scored(spec, "a", -1.0F);
  const TokenId b = add_scored(spec, "b", -1.0F);
  const TokenId ab = add_scored(spec, "ab", -2.5F);
  const TokenId abc = add_scored(spec, "abc", -2.0F);
  const auto tokenizer = build(spec);
  EXPECT_EQ(tokenizer->encode("ab", {}), (Ids{a, b}));
  EXPECT_EQ(tokenizer->encode("abc", {}), Ids{abc});
  EXPECT_EQ(tokenizer->encode("aba", {}), (Ids{a, b, a}));
  spec.scores[static_cast<size_t>(ab)] = -1.5F;
  EXPECT_EQ(build(spec)->encode("aba", {}), (Ids{ab, a}));
}

TEST(Unigram, JoinsUnknownCharacters) {
  VocabSpec spec = scored_vocab("t5");
  const TokenId a = add_scored(spec, "a", -1.0F);
  EXPECT_EQ(build(spec)->encode("xyéa\xFFz", {}), (Ids{0, a, 0}));
  spec.byte_fallback = true;
  EXPECT_EQ(build(spec)->encode("éa", {}), (Ids{3 + 0xC3, 3 + 0xA9, a}));
}

TEST(Unigram, NormalisesSpaces) {
  VocabSpec spec = scored_vocab("t5");
  const TokenId space = add_scored(spec, "\u2581", -2);
  const TokenId a = add_scored(spec, "a", -2);
  const TokenId word = add_scored(spec,
                                  "\u2581"
                                  "a",
                                  -3);
  spec.add_space_prefix = true;
  spec.remove_extra_whitespaces = true;
  spec.add_eos = true;
  EXPECT_EQ(build(spec)->encode("  a   aa ", {.add_special = true}), (Ids{word, word, a, 2}));
  spec.remove_extra_whitespaces = false;
  EXPECT_EQ(build(spec)->encode("a  a", {}), (Ids{word, space, word}));
}

TEST(Trie, FindsEveryPrefixAndGrows) {
  Trie trie;
  std::string key;
  for (TokenId id = 0; id < 500; ++id) {
    key.push_back(static_cast<char>(id * 37));
    trie.insert(key, id);
  }
  size_t steps = 0;
  trie.for_each_prefix(key + "more", [&](size_t length, TokenId id) {
    EXPECT_EQ(length, static_cast<size_t>(id) + 1);
    ++steps;
  });
  EXPECT_EQ(steps, 500u);
}

TEST(ByteFallback, ReadsHexadecimalOnly) {
  EXPECT_EQ(byte_of_token("<0x4f>"), 0x4F);
  EXPECT_EQ(byte_of_token("<0xFF>"), 0xFF);
  for (const char* text : {"<0xG0>", "<0x4>", "<0x444>", "0x44", "<0x44", ""}) {
    EXPECT_EQ(byte_of_token(text), std::nullopt) << text;
  }
}

VocabSpec bert_vocab() {
  VocabSpec spec;
  spec.model = "bert";
  add_token(spec, "[PAD]", TokenKind::kControl);
  spec.unk_id = add_token(spec, "[UNK]", TokenKind::kControl);
  spec.bos_id = add_token(spec, "[CLS]", TokenKind::kControl);
  spec.sep_id = add_token(spec, "[SEP]", TokenKind::kControl);
  for (const char* token :
       {"\u2581un", "aff", "able", "a", "\u2581,", "\u2581中", "\u2581zurich"}) {
    add_token(spec, token, TokenKind::kNormal);
  }
  spec.add_bos = spec.add_sep = spec.lowercase = spec.strip_accents = true;
  return spec;
}

TEST(WordPiece, TakesTheLongestPieces) {
  const auto tokenizer = build(bert_vocab());
  EXPECT_EQ(tokenizer->encode("Unaffable, unx 中un", {.add_special = true}),
            (Ids{2, 4, 5, 6, 8, 1, 9, 4, 3}));
  EXPECT_EQ(tokenizer->encode("ZÜRICH", {}), Ids{10});
  EXPECT_EQ(tokenizer->encode("aff \u2581un", {}), (Ids{1, 1}));
  EXPECT_EQ(tokenizer->encode("un" + std::string(98, 'a'), {}).size(), 99u);
  EXPECT_EQ(tokenizer->encode("un" + std::string(99, 'a'), {}), Ids{1});
  EXPECT_EQ(tokenizer->decode({{4, 5, 6, 8, 9}}, false), "unaffable , 中");
}

TEST(Encoders, RefuseScoresThatDoNotFit) {
  VocabSpec spec = scored_vocab("llama");
  spec.scores.pop_back();
  EXPECT_THAT(Tokenizer::build(spec).error().message(), HasSubstr("scores has 258"));
  spec.scores.push_back(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(Tokenizer::build(spec).error().message(), HasSubstr("scores[258]"));
  spec.scores.clear();
  EXPECT_FALSE(Tokenizer::build(spec).has_value());
  spec = bert_vocab();
  spec.sep_id.reset();
  EXPECT_THAT(Tokenizer::build(spec).error().message(), HasSubstr("seperator_token_id"));
}

TEST(Encoders, MatchTokensByTheirRules) {
  VocabSpec spec = scored_vocab("llama");
  const TokenId a = add_scored(spec, "a", -1);
  const TokenId left = add_scored(spec, "<l>", 0, TokenKind::kUserDefined);
  const TokenId right = add_scored(spec, "<r>", 0, TokenKind::kUserDefined);
  const TokenId word = add_scored(spec, "and", 0, TokenKind::kUserDefined);
  spec.matching = {{.id = word, .single_word = true},
                   {.id = right, .strip_right = true},
                   {.id = left, .strip_left = true}};
  const auto tokenizer = build(spec);
  EXPECT_EQ(tokenizer->encode("a \u3000<l>a<r>\n a", {}), (Ids{a, left, a, right, a}));
  EXPECT_EQ(tokenizer->encode("and", {}), Ids{word});
  EXPECT_EQ(tokenizer->encode("sand", {}).size(), 4u);
  EXPECT_EQ(tokenizer->encode("andé", {}).size(), 5u);
}

}  // namespace
}  // namespace ruvllm::text
