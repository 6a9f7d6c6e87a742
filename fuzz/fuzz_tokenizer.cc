// Builds a tokenizer from a fuzzed vocabulary and encodes fuzzed text with it.
//
// Input: fields of a length byte and as many bytes. The first is the text; then one per token or
// merge: its first byte chooses which (odd: a merge) and the token's kind, the rest is its text.
// The 256 byte tokens come first, so whatever builds must give every text back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer/detokenizer.h"
#include "text/tokenizer/split/patterns.h"
#include "text/tokenizer/split/utf8.h"
#include "text/tokenizer/test_vocab.h"
#include "text/tokenizer/tokenizer.h"

namespace {

using ruvllm::text::Tokenizer;
using ruvllm::text::TokenKind;
using ruvllm::text::VocabSpec;

std::string_view next_field(std::string_view& input) {
  if (input.empty()) return {};
  const size_t length = static_cast<uint8_t>(input[0]);
  const std::string_view field = input.substr(1, length);
  input.remove_prefix(1 + field.size());
  return field;
}

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool parse_special : {false, true}) {
    const auto ids = tokenizer.encode(text, {.parse_special = parse_special, .add_special = false});
    require(tokenizer.decode(ids, true) == text);
    for (const auto id : ids) {
      const TokenKind kind = tokenizer.spec().kinds[static_cast<size_t>(id)];
      require(parse_special || (kind != TokenKind::kControl && kind != TokenKind::kUnknown));
    }
  }
}

void check_stream(const std::shared_ptr<const Tokenizer>& tokenizer, std::string_view text) {
  ruvllm::text::Detokenizer detokenizer(tokenizer, true);
  std::string shown;
  for (const auto id : tokenizer->encode(text, {})) shown += detokenizer.push(id);
  shown += detokenizer.flush();
  require(ruvllm::text::valid_utf8_prefix(shown) == shown.size());
  require(shown == text || ruvllm::text::valid_utf8_prefix(text) < text.size());
}

// The same tokens as SentencePiece's and WordPiece's: these need not give the text back.
void check_other_models(VocabSpec spec, std::string_view text, size_t choice) {
  constexpr std::string_view kModels[] = {"llama", "t5", "bert", "gemma4"};
  spec.model = kModels[choice % 4];
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    spec.scores.push_back(-static_cast<float>(i * choice % 97));
    spec.matching.push_back({.id = static_cast<ruvllm::text::TokenId>(i),
                             .strip_left = i % 3 == 0,
                             .strip_right = i % 5 == 0,
                             .single_word = i % 7 == 0,
                             .normalized = i % 2 == 0});
  }
  spec.unk_id = 0;
  spec.precompiled_charsmap = choice % 8 < 4 ? std::string() : std::string(text);
  spec.add_space_prefix = choice % 2 == 0;
  spec.remove_extra_whitespaces = choice % 3 == 0;
  spec.byte_fallback = choice % 5 == 0;
  spec.lowercase = spec.strip_accents = choice % 7 < 5;
  const auto tokenizer = Tokenizer::build(spec);
  if (!tokenizer.has_value()) return;
  for (const auto id : (*tokenizer)->encode(text, {.parse_special = choice % 2 == 1})) {
    require(id >= 0 && static_cast<size_t>(id) < spec.tokens.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto bytes_only = Tokenizer::build(ruvllm::text::byte_vocab()).value();
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view text = next_field(input);
  check(*bytes_only, text);
  check_stream(bytes_only, text);

  const auto patterns = ruvllm::text::split_patterns();
  VocabSpec spec = ruvllm::text::byte_vocab();
  spec.pre = patterns[size % patterns.size()].names[0];
  if (patterns[size % patterns.size()].characters) spec.pre = "qwen2";
  while (!input.empty()) {
    const std::string_view field = next_field(input);
    if (field.empty()) continue;
    const auto choice = static_cast<uint8_t>(field[0]);
    if (choice % 2 == 1) {
      spec.merges.emplace_back(field.substr(1));
    } else {
      ruvllm::text::add_token(spec, std::string(field.substr(1)),
                              static_cast<TokenKind>(choice / 2 % 8));
    }
  }
  check_other_models(spec, text, size);
  const auto tokenizer = Tokenizer::build(spec);
  if (!tokenizer.has_value()) {
    require(!tokenizer.error().message().empty() && tokenizer.error().message().size() < 4096);
    return 0;
  }
  check(**tokenizer, text);
  check_stream(*tokenizer, text);
  check(**tokenizer, std::string(text) + spec.tokens.back());
  return 0;
}
