#include "text/tokenizer/normalize/normalizer.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tokenizer/normalize/unicode.h"

namespace ruvllm::text {
namespace {

using Kind = NormalizerStep::Kind;

std::string apply(const std::vector<NormalizerStep>& steps, std::string_view text) {
  const auto normalizer = Normalizer::compile(steps);
  EXPECT_TRUE(normalizer.has_value()) << normalizer.error().message();
  return normalizer->apply(text);
}

TEST(Normalizer, MakesNormalForms) {
  EXPECT_EQ(apply({{.kind = Kind::kNfc}}, "e\u0301 \u212B"), "\u00E9 \u00C5");
  EXPECT_EQ(apply({{.kind = Kind::kNfd}}, "\u00E9 각"), "e\u0301 \u1100\u1161\u11A8");
  EXPECT_EQ(apply({{.kind = Kind::kNfkc}}, "ﬁ ①"), "fi 1");
  EXPECT_EQ(apply({{.kind = Kind::kNfkd}}, "\uFB01\u00E9"), "fie\u0301");
}

TEST(Normalizer, KeepsInvalidBytesInPlace) {
  EXPECT_EQ(apply({{.kind = Kind::kNfc}},
                  "e\u0301\xFF\u0301"
                  "e\u0301\xC3"),
            "\u00E9\xFF\u0301\u00E9\xC3");
  EXPECT_EQ(apply({{.kind = Kind::kLowercase}},
                  "A\xFF\xC0"
                  "B"),
            "a\xFF\xC0"
            "b");
}

TEST(Normalizer, LowersAndStrips) {
  EXPECT_EQ(apply({{.kind = Kind::kLowercase}}, "ÀΣİẞ"), "àσi\u0307ß");
  EXPECT_EQ(apply({{.kind = Kind::kNfd}, {.kind = Kind::kStripAccents}}, "Zürich"), "Zurich");
  EXPECT_EQ(apply({{.kind = Kind::kStripMarks}}, "a\u0301\u0903\u20DD"), "a");
  EXPECT_EQ(apply({{.kind = Kind::kStripAccents}}, "a\u0301\u0903\u20DD"), "a\u0903\u20DD");
  EXPECT_EQ(apply({{.kind = Kind::kStrip, .left = true}}, " \u3000a b "), "a b ");
  EXPECT_EQ(apply({{.kind = Kind::kStrip, .right = true}}, " a b\u00A0\n"), " a b");
  EXPECT_EQ(apply({{.kind = Kind::kStrip, .left = true, .right = true}}, " \t "), "");
}

TEST(Normalizer, CleansAsBert) {
  EXPECT_EQ(apply({{.kind = Kind::kCleanText}}, "a\tb\u200Bc\x01\u3000\u0085\uFFFD\u0378"),
            "a bc \u0378");
  EXPECT_EQ(apply({{.kind = Kind::kSpaceIdeographs}}, "a中あ"), "a 中 あ");
}

TEST(Normalizer, ReplacesAndPrepends) {
  EXPECT_EQ(apply({{.kind = Kind::kReplace, .pattern = " ", .content = "\u2581"}}, " a  b"),
            "\u2581a\u2581\u2581b");
  EXPECT_EQ(
      apply({{.kind = Kind::kReplaceMatches, .pattern = " {2,}", .content = "_"}}, "a   b c "),
      "a_b c ");
  EXPECT_EQ(apply({{.kind = Kind::kPrepend, .content = "x"}}, "a"), "xa");
  EXPECT_EQ(apply({{.kind = Kind::kPrepend, .content = "x"}}, ""), "");
  EXPECT_EQ(apply({{.kind = Kind::kCollapseSpaces}}, "  a   b "), "a b");
}

TEST(Normalizer, RefusesToFillTheMemory) {
  const std::vector<NormalizerStep> doubling(
      60, {.kind = Kind::kReplace, .pattern = "a", .content = "aa"});
  const auto refused = Normalizer::compile(doubling);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("512 times"));
}

// A map of "a" to "x" and "ab" to "yz", laid out by hand: unit 0 is the root with base 1, and so
// on.
std::string small_charsmap() {
  const auto unit = [](uint32_t base, bool value, uint32_t label) {
    return base << 10 | uint32_t{value} << 8 | label;
  };
  std::vector<uint32_t> units(512, 0x80000000);  // no labels
  units[0] = unit(256, false, 0);
  const uint32_t a = 256 ^ 'a';
  units[a] = unit(a ^ 300, true, 'a');  // its children are at 300 ^ byte, its value at 300
  units[300] = 0x80000000;              // "x" at 0
  const uint32_t b = 300 ^ 'b';
  units[b] = unit(b ^ 400, true, 'b');
  units[400] = 0x80000002;  // "yz" at 2
  std::string blob;
  const auto put = [&blob](uint32_t value) {
    for (int i = 0; i < 4; ++i) blob.push_back(static_cast<char>(value >> 8 * i & 0xFF));
  };
  put(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t value : units) put(value);
  return blob + std::string("x\0yz\0", 5);
}

TEST(Charsmap, TakesTheLongestOrTheShortestRule) {
  const std::string map = small_charsmap();
  EXPECT_EQ(apply({{.kind = Kind::kPrecompiled, .content = map}},
                  "aab\xFF"
                  "c"),
            "xyz\uFFFDc");
  EXPECT_EQ(apply({{.kind = Kind::kPrecompiledByChar, .content = map}}, "ab"), "xb");
}

TEST(Charsmap, RefusesBrokenMaps) {
  std::string map = small_charsmap();
  EXPECT_FALSE(Charsmap::parse("").has_value());
  EXPECT_FALSE(Charsmap::parse(map.substr(0, 100)).has_value());
  EXPECT_FALSE(Charsmap::parse(map.substr(0, map.size() - 1)).has_value());
  EXPECT_FALSE(Charsmap::parse(map + std::string(300, 'x') + '\0').has_value());
  map[4 + 4 * 300 + 1] = 0x7F;  // a value far outside
  const auto wild = Charsmap::parse(map);
  ASSERT_TRUE(wild.has_value());
  EXPECT_FALSE(wild->find_longest("a").has_value());
}

TEST(Unicode, FindsGraphemeClusters) {
  EXPECT_EQ(grapheme_length("e\u0301x"), 3u);
  EXPECT_EQ(grapheme_length("\r\nx"), 2u);
  EXPECT_EQ(grapheme_length("👩‍👧x"), std::string_view("👩‍👧").size());
  EXPECT_EQ(grapheme_length("\xFF\u0301"), 1u);
}

}  // namespace
}  // namespace ruvllm::text
