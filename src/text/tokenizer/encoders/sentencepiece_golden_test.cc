// Vocabularies as GGUF files have them against the ids that SentencePiece 0.1.97 gives, trained by
// it on this project's documents: BPE and unigram, with byte tokens and with normalization rules.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "text/tokenizer/tokenizer.h"

namespace ruvllm::text {
namespace {

using nlohmann::json;

json read_json(const std::string& name) {
  std::ifstream file(RUVLLM_SOURCE_DIR "/tests/data/tokenizer/" + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

VocabSpec read_spec(const json& golden) {
  VocabSpec spec;
  spec.model = golden["model"].get<std::string>();
  spec.tokens = golden["tokens"].get<std::vector<std::string>>();
  spec.scores = golden["scores"].get<std::vector<float>>();
  for (const int kind : golden["kinds"]) spec.kinds.push_back(static_cast<TokenKind>(kind));
  for (const int byte : golden["charsmap"]) {
    spec.precompiled_charsmap.push_back(static_cast<char>(byte));
  }
  spec.unk_id = 0;
  spec.bos_id = 1;
  spec.eos_id = 2;
  spec.add_space_prefix = true;
  spec.remove_extra_whitespaces = golden["remove_extra_whitespaces"];
  spec.byte_fallback = true;
  return spec;
}

class SentencePieceGolden : public testing::TestWithParam<const char*> {};

TEST_P(SentencePieceGolden, GivesTheIdsOfSentencePiece) {
  const json golden = read_json("sentencepiece/" + std::string(GetParam()) + ".json");
  const json texts = read_json("hf/texts.json");
  const auto tokenizer = Tokenizer::build(read_spec(golden));
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message();
  ASSERT_EQ(texts.size(), golden["ids"].size());
  ASSERT_GT(texts.size(), 300u);
  size_t num_ties = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto text = texts[i].get<std::string>();
    // SentencePiece takes this for a space, and one at the end away; so nothing is left.
    if (text == "\u2581" && std::string_view(GetParam()) == "t5") continue;
    auto ids = (*tokenizer)->encode(text, {});
    auto expected = golden["ids"][i].get<std::vector<TokenId>>();
    if (ids == expected) continue;
    // Of ways with equal sums SentencePiece takes the one that its single precision rounds up;
    // the sums are double here, as in Hugging Face tokenizers.
    ++num_ties;
    std::ranges::sort(ids);
    std::ranges::sort(expected);
    EXPECT_EQ(ids, expected) << i << ": " << texts[i];
  }
  EXPECT_LE(num_ties, golden["model"] == "llama" ? 0u : 8u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, SentencePieceGolden, testing::Values("llama", "t5", "t5_bytes"),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace ruvllm::text
