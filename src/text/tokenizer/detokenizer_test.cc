#include "text/tokenizer/detokenizer.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "text/tokenizer/split/utf8.h"
#include "text/tokenizer/test_vocab.h"

namespace ruvllm::text {
namespace {

std::shared_ptr<const Tokenizer> make_tokenizer() {
  VocabSpec spec = byte_vocab();
  add_token(spec, "<|im_end|>", TokenKind::kControl);
  return Tokenizer::build(std::move(spec)).value();
}

// What a stream of these bytes shows, one byte at a time.
std::string stream(std::string_view bytes) {
  Detokenizer detokenizer(make_tokenizer());
  std::string text;
  for (const char byte : bytes) {
    const std::string part = detokenizer.push(static_cast<uint8_t>(byte));
    EXPECT_EQ(valid_utf8_prefix(part), part.size());
    text += part;
  }
  return text + detokenizer.flush();
}

TEST(Detokenizer, HoldsBytesBackUntilTheCharacterIsWhole) {
  Detokenizer detokenizer(make_tokenizer());
  EXPECT_EQ(detokenizer.push('a'), "a");
  EXPECT_EQ(detokenizer.push(0xF0), "");
  EXPECT_EQ(detokenizer.push(0x9F), "");
  EXPECT_EQ(detokenizer.push(0x99), "");
  EXPECT_EQ(detokenizer.push(0x82), "🙂");
  EXPECT_EQ(detokenizer.flush(), "");
}

// The examples of the Unicode standard, section 3.9, tables 3-8 to 3-11.
TEST(Detokenizer, ReplacesMaximalSubparts) {
  EXPECT_EQ(stream("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
                   "A"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(stream("\xED\xA0\x80\xED\xBF\xBF\xED\xAF"
                   "A"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  EXPECT_EQ(stream("\xF4\x91\x92\x93\xFF"
                   "A\x80\xBF"
                   "B"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB");
  EXPECT_EQ(stream("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
                   "A"),
            "\uFFFD\uFFFD\uFFFD\uFFFDA");
}

TEST(Detokenizer, FlushReplacesWhatWasCutOff) {
  EXPECT_EQ(stream("ok\xF0\x9F\x99"), "ok\uFFFD");
  Detokenizer detokenizer(make_tokenizer());
  detokenizer.push(0xE2);
  EXPECT_EQ(detokenizer.flush(), "\uFFFD");
  EXPECT_EQ(detokenizer.flush(), "");
  EXPECT_EQ(detokenizer.push('b'), "b");
}

TEST(Detokenizer, ShowsControlTokensOnlyWhenAsked) {
  const auto tokenizer = make_tokenizer();
  EXPECT_EQ(Detokenizer(tokenizer).push(256), "");
  EXPECT_EQ(Detokenizer(tokenizer, true).push(256), "<|im_end|>");
  EXPECT_EQ(Detokenizer(tokenizer).push(-1), "");
  EXPECT_EQ(Detokenizer(tokenizer).push(257), "");
}

// "\u2581a" is " a"; the space before a whole text was put there by encode.
TEST(Detokenizer, DropsTheSpaceBeforeAWholeTextOnly) {
  VocabSpec spec;
  spec.model = "llama";
  spec.unk_id = add_token(spec, "<unk>", TokenKind::kUnknown);
  const TokenId bos = add_token(spec, "<s>", TokenKind::kControl);
  const TokenId word = add_token(spec,
                                 "\u2581"
                                 "a",
                                 TokenKind::kNormal);
  const TokenId first = add_token(spec, "<0xC3>", TokenKind::kByte);
  const TokenId second = add_token(spec, "<0xA9>", TokenKind::kByte);
  spec.scores.assign(spec.tokens.size(), 0);
  spec.add_space_prefix = true;
  const auto tokenizer = Tokenizer::build(spec).value();
  Detokenizer whole(tokenizer, false, true);
  EXPECT_EQ(whole.push(bos), "");
  EXPECT_EQ(whole.push(word), "a");
  EXPECT_EQ(whole.push(word), " a");
  Detokenizer continued(tokenizer);
  EXPECT_EQ(continued.push(word), " a");
  EXPECT_EQ(continued.push(first), "");
  EXPECT_EQ(continued.push(second), "é");
  EXPECT_EQ(tokenizer->decode({{word, first, second}}, false), "aé");
}

TEST(Detokenizer, IsAlwaysValidOnRandomBytes) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    std::string bytes(random() % 12, '\0');
    for (char& byte : bytes) byte = "\xF0\x9F\x99\x82\xE2\x80\xC3\xED\xA0"[random() % 9];
    stream(bytes);
  }
}

}  // namespace
}  // namespace ruvllm::text
