// tokenizer.json files of every kind against the ids that Hugging Face tokenizers 0.23 gives
// (tools/golden/make_tokenizers.py).
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "text/tokenizer/json/tokenizer_json.h"
#include "text/tokenizer/tokenizer.h"

namespace ruvllm::text {
namespace {

const std::string kFolder = RUVLLM_SOURCE_DIR "/tests/data/tokenizer/hf/";

std::string read_file(const std::string& name) {
  std::ifstream file(kFolder + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Golden {
  const char* name;
  const char* model;
  const char* pre;
};

class TokenizerJsonGolden : public testing::TestWithParam<Golden> {};

TEST_P(TokenizerJsonGolden, GivesTheIdsOfHuggingFace) {
  const Golden golden = GetParam();
  const std::string name = golden.name;
  auto spec = parse_tokenizer_json(read_file(name + ".json"), "", name + ".json");
  ASSERT_TRUE(spec.has_value()) << spec.error().message();
  EXPECT_EQ(spec->model, golden.model);
  EXPECT_EQ(spec->pre, golden.pre);
  const auto tokenizer = Tokenizer::build(*spec);
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message();
  const auto texts = nlohmann::json::parse(read_file("texts.json"));
  const auto expected = nlohmann::json::parse(read_file(name + ".ids.json"));
  ASSERT_EQ(texts.size(), expected.size());
  ASSERT_GT(texts.size(), 300u);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto text = texts[i].get<std::string>();
    // Hugging Face makes the single byte C5 of the added token "Å", which here stays a letter.
    if (name == "qwen2" && (text.contains("Å") || text.contains("A\u030A"))) continue;
    // Hugging Face takes the name of a byte's token for the token, SentencePiece never does.
    if (name == "xlm_roberta" && text.contains("<0x")) continue;
    const auto ids = (*tokenizer)->encode(text, {.parse_special = true, .add_special = true});
    EXPECT_EQ(ids, expected[i].get<std::vector<TokenId>>()) << i << ": " << texts[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, TokenizerJsonGolden,
    testing::Values(Golden{"gpt2", "gpt2", "gpt-2"}, Golden{"llama3", "gpt2", "llama-bpe"},
                    Golden{"qwen2", "gpt2", "qwen2"}, Golden{"starcoder", "gpt2", "starcoder"},
                    Golden{"roberta", "gpt2", ""}, Golden{"deepseek", "gpt2", "deepseek-v3"},
                    Golden{"gpt4o", "gpt2", "gpt-4o"}, Golden{"falcon", "gpt2", "falcon"},
                    Golden{"unnamed", "gpt2", ""}, Golden{"llama2", "llama", ""},
                    Golden{"mistral", "llama", ""}, Golden{"gemma", "llama", ""},
                    Golden{"metaspace_bpe", "gemma4", ""}, Golden{"bert_uncased", "bert", ""},
                    Golden{"bert_cased", "bert", ""}, Golden{"word_piece", "bert", ""},
                    Golden{"t5", "t5", ""}, Golden{"xlm_roberta", "t5", ""}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace ruvllm::text
