// What tokenizer.json and tokenizer_config.json say beside ids, and what is refused.
#include "text/tokenizer/json/tokenizer_json.h"

#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "text/tokenizer/json/regex_translation.h"
#include "text/tokenizer/normalize/base64.h"
#include "text/tokenizer/split/patterns.h"
#include "text/tokenizer/tokenizer.h"

namespace ruvllm::text {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

json small_bpe() {
  return json::parse(R"({
    "added_tokens": [
      {"id": 4, "content": "<s>", "special": true},
      {"id": 6, "content": "<think>", "special": false, "normalized": false}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                 {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3},
              "merges": [["a", "b"]]}})");
}

std::string error_of(const std::function<void(json&)>& damage) {
  json value = small_bpe();
  damage(value);
  const auto spec = parse_tokenizer_json(value.dump(), "", "m/tokenizer.json");
  if (spec.has_value()) return "";
  return spec.error().message();
}

TEST(TokenizerJson, ReadsTokensKindsAndTemplates) {
  const auto spec = parse_tokenizer_json(
      small_bpe().dump(),
      R"({"eos_token": {"content": "<think>"}, "pad_token": "nowhere", "add_bos_token": true,
          "chat_template": [{"name": "tool_use", "template": "x"},
                            {"name": "default", "template": "{{ y }}"}]})",
      "tokenizer.json");
  ASSERT_TRUE(spec.has_value()) << spec.error().message();
  EXPECT_EQ(spec->model, "gpt2");
  EXPECT_EQ(spec->pre, "gpt-2");
  EXPECT_EQ(spec->tokens.size(), 7u);
  EXPECT_EQ(spec->tokens[5], "[PAD5]");
  EXPECT_EQ(spec->kinds[5], TokenKind::kUnused);
  EXPECT_EQ(spec->kinds[4], TokenKind::kControl);
  EXPECT_EQ(spec->kinds[6], TokenKind::kUserDefined);
  EXPECT_EQ(spec->bos_id, 4);
  EXPECT_EQ(spec->eos_id, 6);
  EXPECT_EQ(spec->pad_id, std::nullopt);
  EXPECT_TRUE(spec->add_bos);
  EXPECT_FALSE(spec->add_eos);
  EXPECT_EQ(spec->chat_template, "{{ y }}");
  EXPECT_TRUE(spec->lost_in_gguf.empty());
  const auto tokenizer = Tokenizer::build(*spec).value();
  EXPECT_EQ(tokenizer->encode("ab a<think>b", {.add_special = true}),
            (std::vector<TokenId>{4, 2, 3, 0, 6, 1}));
}

// A character-level BPE may list the empty string, which no text becomes.
TEST(TokenizerJson, AcceptsAnEmptyToken) {
  json value = small_bpe();
  value["pre_tokenizer"] = nullptr;
  value["decoder"] = nullptr;
  value["normalizer"] = {
      {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
  value["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 2}, {"", 3}};
  const auto spec = parse_tokenizer_json(value.dump(), "", "tokenizer.json");
  ASSERT_TRUE(spec.has_value()) << spec.error().message();
  const auto tokenizer = Tokenizer::build(*spec).value();
  EXPECT_EQ(tokenizer->encode("ab", {}), (std::vector<TokenId>{2}));
}

TEST(TokenizerJson, SaysWhatGgufWouldLose) {
  json value = small_bpe();
  value["normalizer"] = {{"type", "NFC"}};
  value["pre_tokenizer"]["add_prefix_space"] = true;
  const auto spec = parse_tokenizer_json(value.dump(), "", "tokenizer.json").value();
  EXPECT_EQ(spec.lost_in_gguf.size(), 2u);
}

TEST(TokenizerJson, RefusesByNameWhatItDoesNotKnow) {
  EXPECT_EQ(error_of([](json&) {}), "");
  EXPECT_THAT(error_of([](json& v) { v["normalizer"] = {{"type", "Nmt"}}; }),
              AllOf(HasSubstr("m/tokenizer.json: normalizer"), HasSubstr("Nmt")));
  EXPECT_THAT(error_of([](json& v) { v["pre_tokenizer"] = {{"type", "UnicodeScripts"}}; }),
              AllOf(HasSubstr("pre_tokenizer"), HasSubstr("UnicodeScripts")));
  EXPECT_THAT(error_of([](json& v) { v["model"]["type"] = "WordLevel"; }), HasSubstr("WordLevel"));
  EXPECT_THAT(error_of([](json& v) { v["decoder"] = {{"type", "CTC"}}; }), HasSubstr("CTC"));
  EXPECT_THAT(error_of([](json& v) { v["post_processor"] = {{"type", "Odd"}}; }), HasSubstr("Odd"));
  EXPECT_THAT(error_of([](json& v) { v["model"]["dropout"] = 0.1; }), HasSubstr("dropout"));
  EXPECT_THAT(error_of([](json& v) { v["model"]["end_of_word_suffix"] = "</w>"; }),
              HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(error_of([](json& v) {
                v["pre_tokenizer"] = {{"type", "Split"},
                                      {"pattern", {{"Regex", "[a&&b]"}}},
                                      {"behavior", "Isolated"}};
              }),
              AllOf(HasSubstr("pre_tokenizer.pattern.Regex"), HasSubstr("&&")));
}

TEST(TokenizerJson, RefusesBrokenFiles) {
  for (const char* text : {"", "{", "[]", "null", "{}", R"({"model": 3})", "\xFF"}) {
    const auto spec = parse_tokenizer_json(text, "", "m/tokenizer.json");
    ASSERT_FALSE(spec.has_value()) << text;
    EXPECT_THAT(spec.error().message(), HasSubstr("m/tokenizer.json"));
  }
  EXPECT_THAT(error_of([](json& v) { v["model"]["vocab"]["c"] = -1; }), HasSubstr("has id -1"));
  EXPECT_THAT(error_of([](json& v) { v["model"]["vocab"]["c"] = 2000000; }), HasSubstr("2000000"));
  EXPECT_THAT(error_of([](json& v) { v["model"]["vocab"]["c"] = 1; }), HasSubstr("both"));
  EXPECT_THAT(error_of([](json& v) { v["model"]["vocab"]["c"] = "x"; }),
              HasSubstr("model.vocab is string"));
  EXPECT_THAT(error_of([](json& v) { v["model"].erase("merges"); }), HasSubstr("'merges'"));
  EXPECT_THAT(error_of([](json& v) { v["model"]["merges"][0] = {"a"}; }), HasSubstr("merges[0]"));
  EXPECT_THAT(error_of([](json& v) { v["added_tokens"][0].erase("id"); }),
              HasSubstr("added_tokens[0]: 'id'"));
  EXPECT_THAT(error_of([](json& v) { v["added_tokens"][0]["id"] = 0; }), HasSubstr("both"));
  EXPECT_THAT(error_of([](json& v) { v["pre_tokenizer"]["use_regex"] = 3; }),
              HasSubstr("pre_tokenizer.use_regex"));
  EXPECT_THAT(
      error_of([](json& v) { v["post_processor"]["special_tokens"]["<s>"]["ids"][0] = 99; }),
      HasSubstr("ids[0] is 99"));
  json deep = {{"type", "NFC"}};
  for (int i = 0; i < 50; ++i) deep = {{"type", "Sequence"}, {"normalizers", json::array({deep})}};
  EXPECT_THAT(error_of([&](json& v) { v["normalizer"] = deep; }), HasSubstr("nested"));
}

TEST(TokenizerJson, KnowsTheNamesOfPublishedExpressions) {
  const std::pair<const char*, const char*> kPublished[] = {
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       "qwen35"},
      {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
       "tekken"},
      {R"(\d{1,3}(?=(?:\d{3})*\b))", "tiny_aya"},
      {" ?[^(\\s|.,!?…。，、।۔،)]+", "bloom"}};
  for (const auto& [published, name] : kPublished) {
    const auto pattern = find_split_pattern(name);
    EXPECT_EQ(translate_regex(published, "here").value(), pattern.value()->stages[0]) << name;
  }
}

TEST(RegexTranslation, WritesClassesAsPcre2Does) {
  EXPECT_EQ(translate_regex(R"(\d\h)", "").value(), R"(\p{Nd}[0-9A-Fa-f])");
  EXPECT_EQ(translate_regex(R"([\d_]\p{Han}\p{^L})", "").value(), R"([\p{Nd}_]\p{sc:Han}\p{^L})");
  EXPECT_EQ(translate_regex("a\r\n$", "").value(), R"(a\r\n(?=\n|\z))");
  for (const char* refused : {R"([\S])", R"([a[b]])", R"(\q)", R"(\pL)", "\\"}) {
    EXPECT_FALSE(translate_regex(refused, "place").has_value()) << refused;
  }
  EXPECT_EQ(quote_regex("a.b"), R"(a\.b)");
}

TEST(Base64, DecodesRfc4648) {
  EXPECT_EQ(decode_base64("Zm9vYmE="), "fooba");
  EXPECT_EQ(decode_base64("Zm9vYg=="), "foob");
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("Zm9"), std::nullopt);
  EXPECT_EQ(decode_base64("Zm9*"), std::nullopt);
}

}  // namespace
}  // namespace ruvllm::text
