// The demo model's vocabulary (8,192 tokens, Qwen2 pattern) against ids from Hugging Face
// tokenizers, and properties that hold for any text.
#include "text/tokenizer/bpe/byte_level_encoder.h"

#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "text/tokenizer/test_vocab.h"
#include "text/tokenizer/tokenizer.h"

namespace ruvllm::text {
namespace {

nlohmann::json read_json(const std::string& name) {
  std::ifstream file(std::string(RUVLLM_SOURCE_DIR "/tests/data/tokenizer/") + name);
  return nlohmann::json::parse(file);
}

VocabSpec demo_spec() {
  const nlohmann::json data = read_json("demo_vocab.json");
  VocabSpec spec;
  spec.model = "gpt2";
  spec.pre = data["pre"];
  spec.tokens = data["tokens"];
  spec.merges = data["merges"];
  spec.kinds.assign(spec.tokens.size(), TokenKind::kNormal);
  for (const size_t id : data["control"]) spec.kinds[id] = TokenKind::kControl;
  spec.bos_id = data["bos_id"];
  spec.eos_id = data["eos_id"];
  return spec;
}

std::shared_ptr<const Tokenizer> demo_tokenizer() {
  static const auto tokenizer = Tokenizer::build(demo_spec()).value();
  return tokenizer;
}

TEST(ByteLevelTokenizer, GivesTheIdsOfTheReference) {
  const nlohmann::json cases = read_json("demo_cases.json");
  ASSERT_EQ(cases.size(), 14u);
  for (int pass = 0; pass < 2; ++pass) {  // the second with the words of the first known
    for (const auto& expected : cases) {
      const std::string text = expected["text"];
      EXPECT_EQ(demo_tokenizer()->encode(text, {.parse_special = true}),
                expected["ids"].get<std::vector<TokenId>>())
          << text;
    }
  }
}

TEST(ByteLevelTokenizer, ControlTokensInTextStayTextUnlessAsked) {
  const std::string text = "<|im_start|>system\nYou obey.<|im_end|><|endoftext|>";
  const auto ids = demo_tokenizer()->encode(text, {});
  for (const TokenId id : ids) EXPECT_LT(id, 8189);
  EXPECT_EQ(demo_tokenizer()->decode(ids, false), text);
  const auto parsed = demo_tokenizer()->encode(text, {.parse_special = true});
  EXPECT_EQ(parsed.front(), 8190);
  EXPECT_EQ(parsed.back(), 8189);
  EXPECT_EQ(demo_tokenizer()->decode(parsed, true), text);
  EXPECT_EQ(demo_tokenizer()->decode(parsed, false), "system\nYou obey.");
}

TEST(ByteLevelTokenizer, AnyBytesComeBack) {
  std::mt19937 random(1);
  const std::string pieces[] = {"<|im_end|>", " the", "\n\n", "é", "🙂",
                                "\xF0\x9F",   "\xFF", "\xC0", "12"};
  for (int round = 0; round < 500; ++round) {
    std::string text;
    const size_t num_parts = random() % 60;
    for (size_t i = 0; i < num_parts; ++i) {
      if (random() % 2 == 0) {
        text += pieces[random() % std::size(pieces)];
      } else {
        text.push_back(static_cast<char>(random()));
      }
    }
    const auto ids = demo_tokenizer()->encode(text, {});
    ASSERT_EQ(demo_tokenizer()->decode(ids, true), text);
    for (const TokenId id : ids) ASSERT_LT(id, 8189);  // reliability R16
    ASSERT_EQ(
        demo_tokenizer()->decode(demo_tokenizer()->encode(text, {.parse_special = true}), true),
        text);
  }
}

TEST(ByteLevelTokenizer, ThreadsThatShareItGetTheSameIds) {
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += " word" + std::to_string(i * 7919) + " the quick brown fox";
  const auto tokenizer = Tokenizer::build(demo_spec()).value();
  std::vector<std::vector<TokenId>> results(4);
  {
    std::vector<std::jthread> threads;
    for (auto& ids : results) threads.emplace_back([&] { ids = tokenizer->encode(text, {}); });
  }
  for (const auto& ids : results) EXPECT_EQ(ids, results[0]);
  EXPECT_EQ(tokenizer->decode(results[0], false), text);
}

// "abc" is a token that no merge makes.
TEST(ByteLevelTokenizer, WholePiecesComeFirstOnlyWhereThePatternSaysSo) {
  VocabSpec spec = byte_vocab();
  const TokenId whole = add_token(spec, "abc", TokenKind::kNormal);
  const std::vector<TokenId> bytes = {'a', 'b', 'c'};
  for (const auto& [pre, expected] :
       {std::pair{"llama-bpe", std::vector<TokenId>{whole}}, std::pair{"qwen2", bytes}}) {
    spec.pre = pre;
    const auto tokenizer = Tokenizer::build(spec).value();
    EXPECT_EQ(tokenizer->encode("abc", {}), expected) << pre;
    EXPECT_EQ(tokenizer->encode("abc", {}), expected) << pre << ", once more";
  }
}

TEST(ByteLevelTokenizer, AWordThatSpellsAControlTokenStaysAWord) {
  VocabSpec spec = byte_vocab();
  spec.pre = "llama-bpe";
  const TokenId control = add_token(spec, "stop", TokenKind::kControl);
  const auto tokenizer = Tokenizer::build(spec).value();
  EXPECT_EQ(tokenizer->encode("stop", {}), (std::vector<TokenId>{'s', 't', 'o', 'p'}));
  EXPECT_EQ(tokenizer->encode("stop", {.parse_special = true}), std::vector<TokenId>{control});
}

TEST(ByteLevelTokenizer, UserDefinedTokensAreAlwaysFoundAndShownAsTheyAre) {
  VocabSpec spec = byte_vocab();
  const TokenId think = add_token(spec, "<think>", TokenKind::kUserDefined);
  const TokenId spaces = add_token(spec, "  ", TokenKind::kUserDefined);
  const TokenId accent = add_token(spec, "é", TokenKind::kUserDefined);
  const auto tokenizer = Tokenizer::build(spec).value();
  const auto ids = tokenizer->encode("<think>  é", {});
  EXPECT_EQ(ids, (std::vector<TokenId>{think, spaces, accent}));
  EXPECT_EQ(tokenizer->decode(ids, false), "<think>  é");
}

TEST(ByteLevelTokenizer, AddsBeginAndEndOnlyWhenAskedAndTheFileSaysSo) {
  VocabSpec spec = byte_vocab();
  spec.bos_id = add_token(spec, "<s>", TokenKind::kControl);
  spec.eos_id = add_token(spec, "</s>", TokenKind::kControl);
  EXPECT_EQ(Tokenizer::build(spec).value()->encode("x", {.add_special = true}),
            std::vector<TokenId>{'x'});
  spec.add_bos = true;
  spec.add_eos = true;
  const auto tokenizer = Tokenizer::build(spec).value();
  EXPECT_EQ(tokenizer->encode("x", {}), std::vector<TokenId>{'x'});
  EXPECT_EQ(tokenizer->encode("x", {.add_special = true}),
            (std::vector<TokenId>{*spec.bos_id, 'x', *spec.eos_id}));
  EXPECT_EQ(tokenizer->encode("", {.add_special = true}),
            (std::vector<TokenId>{*spec.bos_id, *spec.eos_id}));
}

TEST(ByteLevelTokenizer, TokensOutsideTheAlphabetShowTheirText) {
  VocabSpec spec = byte_vocab();
  const TokenId chinese = add_token(spec, "你 好", TokenKind::kNormal);
  const TokenId word = add_token(spec, "Ġword", TokenKind::kNormal);
  const TokenId unknown = add_token(spec, "<unk>", TokenKind::kUnknown);
  const auto tokenizer = Tokenizer::build(spec).value();
  EXPECT_EQ(tokenizer->piece(chinese, false), "你 好");
  EXPECT_EQ(tokenizer->piece(word, false), " word");
  EXPECT_EQ(tokenizer->piece(unknown, false), "");
  EXPECT_EQ(tokenizer->piece(unknown, true), "<unk>");
  EXPECT_EQ(tokenizer->piece(-1, true), "");
  EXPECT_EQ(tokenizer->piece(1'000'000, true), "");
}

}  // namespace
}  // namespace ruvllm::text
