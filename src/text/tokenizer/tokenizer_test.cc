#include "text/tokenizer/tokenizer.h"

#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tokenizer/test_vocab.h"
#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {
namespace {

// The error of a vocabulary that `damage` has changed, "" if it builds.
std::string build_error(const std::function<void(VocabSpec&)>& damage,
                        ErrorCode code = ErrorCode::kCorrupt) {
  VocabSpec spec = byte_vocab();
  damage(spec);
  const auto tokenizer = Tokenizer::build(std::move(spec));
  if (tokenizer.has_value()) return "";
  EXPECT_EQ(tokenizer.error().code(), code) << tokenizer.error().message();
  return tokenizer.error().message();
}

using testing::AllOf;
using testing::HasSubstr;

TEST(Tokenizer, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(build_error([](VocabSpec&) {}), "");
  EXPECT_THAT(build_error([](VocabSpec& s) { s.model = "rwkv"; }, ErrorCode::kUnsupported),
              AllOf(HasSubstr("'rwkv'"), HasSubstr("gpt2")));
  EXPECT_THAT(build_error([](VocabSpec& s) { s.pre = "klingon"; }, ErrorCode::kUnsupported),
              AllOf(HasSubstr("'klingon'"), HasSubstr("qwen2")));
}

TEST(Tokenizer, RefusesVocabulariesOutsideTheLimits) {
  EXPECT_THAT(build_error([](VocabSpec& s) {
                s.tokens.clear();
                s.kinds.clear();
              }),
              HasSubstr("tokens is empty"));
  EXPECT_THAT(build_error([](VocabSpec& s) {
                s.tokens.resize(kMaxTokens + 1);
                s.kinds.clear();
              }),
              AllOf(HasSubstr("tokens"), HasSubstr("1000001")));
  EXPECT_EQ(build_error([](VocabSpec& s) {
              s.tokens.resize(kMaxTokens);
              s.kinds.clear();
            }),
            "");
  EXPECT_THAT(build_error([](VocabSpec& s) { s.tokens[7] = std::string(kMaxTokenBytes + 1, 'a'); }),
              AllOf(HasSubstr("tokens[7]"), HasSubstr("65537")));
  EXPECT_EQ(build_error([](VocabSpec& s) { s.tokens[7] = std::string(kMaxTokenBytes, 'a'); }), "");
  EXPECT_THAT(build_error([](VocabSpec& s) { s.merges.resize(kMaxMerges + 1); }),
              AllOf(HasSubstr("merges"), HasSubstr("4000001")));
  EXPECT_THAT(
      build_error([](VocabSpec& s) { s.merges = {std::string(2 * kMaxTokenBytes + 2, 'a')}; }),
      HasSubstr("merges[0]"));
}

TEST(Tokenizer, RefusesKindsAndIdsOutOfRange) {
  EXPECT_THAT(build_error([](VocabSpec& s) { s.kinds.pop_back(); }),
              HasSubstr("token_type has 255"));
  EXPECT_THAT(build_error([](VocabSpec& s) { s.kinds[3] = static_cast<TokenKind>(7); }),
              HasSubstr("token_type[3] is 7"));
  const std::pair<const char*, std::optional<TokenId> VocabSpec::*> fields[] = {
      {"bos_token_id", &VocabSpec::bos_id},
      {"eos_token_id", &VocabSpec::eos_id},
      {"padding_token_id", &VocabSpec::pad_id},
      {"unknown_token_id", &VocabSpec::unk_id},
      {"eot_token_id", &VocabSpec::eot_id}};
  for (const auto& [name, field] : fields) {
    for (const TokenId id : {-1, 256, INT32_MAX, INT32_MIN}) {
      EXPECT_THAT(build_error([&](VocabSpec& s) { s.*field = id; }), HasSubstr(name));
    }
    EXPECT_EQ(build_error([&](VocabSpec& s) { s.*field = 255; }), "");
  }
  EXPECT_THAT(build_error([](VocabSpec& s) { s.add_bos = true; }), HasSubstr("bos_token_id"));
  EXPECT_THAT(build_error([](VocabSpec& s) { s.add_eos = true; }), HasSubstr("eos_token_id"));
}

TEST(Tokenizer, RefusesMergesThatDoNotFitTheTokens) {
  EXPECT_THAT(build_error([](VocabSpec& s) { s.merges = {"ab"}; }), HasSubstr("merges[0] 'ab'"));
  EXPECT_THAT(build_error([](VocabSpec& s) { s.merges = {"a b"}; }),
              AllOf(HasSubstr("merges[0] 'a b'"), HasSubstr("'ab' is not a token")));
}

TEST(Tokenizer, MessagesHoldNoRawBytesAndAreShort) {
  const std::string message =
      build_error([](VocabSpec& s) { s.merges = {"\x1b[31m\xff" + std::string(5000, 'z')}; });
  EXPECT_THAT(message, HasSubstr("\\x1b[31m\\xff"));
  EXPECT_LT(message.size(), 400u);
}

TEST(Tokenizer, KnowsWhatEndsAGeneration) {
  VocabSpec spec = byte_vocab();
  const TokenId eot = add_token(spec, "<|im_end|>", TokenKind::kControl);
  const TokenId user_defined = add_token(spec, "<|end_of_text|>", TokenKind::kUserDefined);
  const TokenId start = add_token(spec, "<|im_start|>", TokenKind::kControl);
  spec.eos_id = add_token(spec, "[stop]", TokenKind::kControl);
  spec.eot_id = add_token(spec, "[over]", TokenKind::kControl);
  const auto tokenizer = Tokenizer::build(spec).value();
  for (const TokenId id : {eot, user_defined, *spec.eos_id, *spec.eot_id}) {
    EXPECT_TRUE(tokenizer->is_end_of_generation(id)) << id;
  }
  for (const TokenId id : {start, 0, -1, 1000}) {
    EXPECT_FALSE(tokenizer->is_end_of_generation(id)) << id;
  }
}

// As in Qwen2, where "</s>" is a word of HTML; in other files it is a marker called ordinary.
TEST(Tokenizer, AMarkerThatMergesMakeIsAWord) {
  VocabSpec spec = byte_vocab();
  add_token(spec, "</", TokenKind::kNormal);
  add_token(spec, "</s", TokenKind::kNormal);
  const TokenId strike = add_token(spec, "</s>", TokenKind::kNormal);
  const auto without_merges = Tokenizer::build(spec).value();
  EXPECT_TRUE(without_merges->is_end_of_generation(strike));
  EXPECT_EQ(without_merges->piece(strike, false), "");
  spec.merges = {"< /", "</ s", "</s >"};
  const auto with_merges = Tokenizer::build(spec).value();
  EXPECT_FALSE(with_merges->is_end_of_generation(strike));
  EXPECT_EQ(with_merges->piece(strike, false), "</s>");
}

TEST(Tokenizer, EndOfMessageDoesNotEndATurnWithSeveral) {
  VocabSpec spec = byte_vocab();
  const TokenId end = add_token(spec, "<|end|>", TokenKind::kControl);
  EXPECT_TRUE(Tokenizer::build(spec).value()->is_end_of_generation(end));
  const TokenId turn = add_token(spec, "<|return|>", TokenKind::kControl);
  add_token(spec, "<|call|>", TokenKind::kControl);
  const auto tokenizer = Tokenizer::build(spec).value();
  EXPECT_FALSE(tokenizer->is_end_of_generation(end));
  EXPECT_TRUE(tokenizer->is_end_of_generation(turn));
}

TEST(Tokenizer, KnowsHowEachFamilyEnds) {
  for (const char* marker :
       {"<end_of_turn>", "<|end|>", "</s>", "<|return|>", "<|call|>", "<|im_end|>", "<|eot_id|>",
        "<|endoftext|>", "<turn|>", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>"}) {
    VocabSpec spec = byte_vocab();
    const TokenId id = add_token(spec, marker, TokenKind::kUserDefined);
    EXPECT_TRUE(Tokenizer::build(spec).value()->is_end_of_generation(id)) << marker;
  }
  // Gemma: "</s>" is a tag of HTML.
  VocabSpec spec = byte_vocab();
  spec.eos_id = add_token(spec, "<eos>", TokenKind::kControl);
  const TokenId tag = add_token(spec, "</s>", TokenKind::kUserDefined);
  const auto tokenizer = Tokenizer::build(spec).value();
  EXPECT_FALSE(tokenizer->is_end_of_generation(tag));
  EXPECT_EQ(tokenizer->piece(tag, false), "</s>");
}

TEST(Tokenizer, WithoutKindsTheNamedIdsAreControlTokens) {
  VocabSpec spec = byte_vocab();
  spec.bos_id = add_token(spec, "<s>", TokenKind::kNormal);
  spec.kinds.clear();
  const auto tokenizer = Tokenizer::build(spec).value();
  EXPECT_EQ(tokenizer->encode("<s>", {.parse_special = true}), std::vector<TokenId>{*spec.bos_id});
  EXPECT_EQ(tokenizer->encode("<s>", {}), (std::vector<TokenId>{'<', 's', '>'}));
  EXPECT_EQ(tokenizer->spec().kinds.size(), 257u);
}

}  // namespace
}  // namespace ruvllm::text
