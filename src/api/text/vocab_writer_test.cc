#include "api/text/vocab_writer.h"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/text/vocab_loader.h"
#include "formats/gguf/assembly/assemble.h"

namespace ruvllm::api {
namespace {

// Through GGUF metadata and back.
text::VocabSpec round_trip(const text::VocabSpec& spec, uint32_t vocab_size) {
  formats::GgufAssembly assembly;
  assembly.path = "folder";
  EXPECT_TRUE(write_vocab(spec, vocab_size, "folder", assembly.metadata).has_value());
  const auto file = formats::GgufFile::assemble(std::move(assembly));
  EXPECT_TRUE(file.has_value());
  auto read = read_vocab(*file);
  EXPECT_TRUE(read.has_value()) << read.error().message();
  return *read;
}

TEST(VocabWriter, BytePairVocabularyComesBack) {
  text::VocabSpec spec;
  spec.model = "gpt2";
  spec.pre = "qwen2";
  spec.tokens = {"a", "b", "ab", "<|im_end|>"};
  spec.kinds = {text::TokenKind::kNormal, text::TokenKind::kNormal, text::TokenKind::kNormal,
                text::TokenKind::kControl};
  spec.merges = {"a b"};
  spec.bos_id = 0;
  spec.eos_id = 3;
  spec.eot_id = 3;
  spec.pad_id = 1;
  spec.add_bos = true;
  spec.chat_template = "{{ messages }}";
  const text::VocabSpec read = round_trip(spec, 6);
  EXPECT_EQ(read.model, "gpt2");
  EXPECT_EQ(read.pre, "qwen2");
  EXPECT_THAT(read.tokens, testing::ElementsAre("a", "b", "ab", "<|im_end|>", "[PAD4]", "[PAD5]"));
  EXPECT_EQ(read.kinds.at(3), text::TokenKind::kControl);
  EXPECT_EQ(read.kinds.at(5), text::TokenKind::kUnused);
  EXPECT_EQ(read.merges, spec.merges);
  EXPECT_EQ(read.bos_id, 0);
  EXPECT_EQ(read.eos_id, 3);
  EXPECT_EQ(read.eot_id, 3);
  EXPECT_EQ(read.pad_id, 1);
  EXPECT_EQ(read.unk_id, std::nullopt);
  EXPECT_TRUE(read.add_bos);
  EXPECT_FALSE(read.add_eos);
  EXPECT_EQ(read.chat_template, spec.chat_template);
}

TEST(VocabWriter, SaysFalseWhereReadersWouldGuessTrue) {
  text::VocabSpec spec;
  spec.model = "llama";
  spec.tokens = {"<unk>", "<s>", "</s>", "a"};
  spec.scores = {0, 0, 0, -1};
  spec.unk_id = 0;
  spec.bos_id = 1;
  spec.eos_id = 2;
  const text::VocabSpec read = round_trip(spec, 5);
  EXPECT_FALSE(read.add_bos);
  EXPECT_FALSE(read.add_space_prefix);
  EXPECT_EQ(read.scores, (std::vector<float>{0, 0, 0, -1, -10000}));
}

TEST(VocabWriter, UnigramAndWordPieceRulesComeBack) {
  text::VocabSpec spec;
  spec.model = "t5";
  spec.tokens = {"<pad>", "</s>", "<unk>", "a"};
  spec.scores = {0, 0, 0, -2.5f};
  spec.add_space_prefix = true;
  spec.remove_extra_whitespaces = true;
  spec.precompiled_charsmap = std::string("\x01\x00\xff", 3);
  text::VocabSpec read = round_trip(spec, 0);
  EXPECT_TRUE(read.add_space_prefix);
  EXPECT_TRUE(read.remove_extra_whitespaces);
  EXPECT_EQ(read.precompiled_charsmap, spec.precompiled_charsmap);
  EXPECT_EQ(read.tokens, spec.tokens);
  spec = {};
  spec.model = "bert";
  spec.tokens = {"[CLS]", "[SEP]", "[MASK]"};
  spec.bos_id = 0;
  spec.sep_id = 1;
  spec.mask_id = 2;
  spec.add_bos = spec.add_sep = true;
  spec.lowercase = false;
  spec.strip_accents = true;
  read = round_trip(spec, 0);
  EXPECT_TRUE(read.add_bos);
  EXPECT_TRUE(read.add_sep);
  EXPECT_EQ(read.mask_id, 2);
  EXPECT_FALSE(read.lowercase);
  EXPECT_TRUE(read.strip_accents);
}

TEST(VocabWriter, AVocabularyBeyondReasonIsRefused) {
  formats::GgufMetadata metadata;
  const Status status = write_vocab({}, 4'000'000'000u, "folder", metadata);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message(), testing::HasSubstr("vocab_size"));
}

}  // namespace
}  // namespace ruvllm::api
