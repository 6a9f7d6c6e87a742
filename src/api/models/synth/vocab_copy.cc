#include "api/models/synth/vocab_copy.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace ruvllm::api {
namespace {

using formats::GgufEntry;
using formats::GgufFile;
using formats::GgufWriter;

constexpr std::string_view kPrefix = "tokenizer.";
constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kKindsKey = "tokenizer.ggml.token_type";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";

// llama.cpp's numbers and, for SentencePiece vocabularies, its score of padding.
constexpr int32_t kNormalKind = 1;
constexpr int32_t kUnusedKind = 5;
constexpr float kUnusedScore = -1000.0f;

template <typename T>
Status check_count(const GgufFile& source, std::string_view key, const std::vector<T>& values,
                   size_t num_tokens) {
  if (values.size() == num_tokens) return {};
  return fail(ErrorCode::kCorrupt, "{}: {} has {} entries for {} tokens; use another tokenizer",
              source.path(), key, values.size(), num_tokens);
}

void add_tokens(const std::vector<std::string_view>& source_tokens, uint32_t vocab_size,
                GgufWriter& writer) {
  std::vector<std::string> tokens(source_tokens.begin(), source_tokens.end());
  tokens.reserve(vocab_size);
  while (tokens.size() < vocab_size) tokens.push_back(fmt::format("[PAD{}]", tokens.size()));
  writer.add_string_array(kTokensKey, tokens);
}

Status add_kinds(const GgufFile& source, size_t num_tokens, uint32_t vocab_size,
                 GgufWriter& writer) {
  std::vector<int32_t> kinds(num_tokens, kNormalKind);
  if (source.has(kKindsKey)) {
    RUVLLM_ASSIGN(const std::vector<int64_t> values, source.get_int_array(kKindsKey));
    RUVLLM_TRY(check_count(source, kKindsKey, values, num_tokens));
    kinds.clear();
    for (const int64_t value : values) {
      if (value < 0 || value > 6) {
        return fail(ErrorCode::kCorrupt, "{}: {} holds {}; expected 0 to 6", source.path(),
                    kKindsKey, value);
      }
      kinds.push_back(static_cast<int32_t>(value));
    }
  }
  kinds.resize(vocab_size, kUnusedKind);
  writer.add_int32_array(kKindsKey, kinds);
  return {};
}

Status add_scores(const GgufFile& source, size_t num_tokens, uint32_t vocab_size,
                  GgufWriter& writer) {
  if (!source.has(kScoresKey)) return {};
  RUVLLM_ASSIGN(const std::vector<double> values, source.get_float_array(kScoresKey));
  RUVLLM_TRY(check_count(source, kScoresKey, values, num_tokens));
  std::vector<float> scores;
  scores.reserve(vocab_size);
  for (const double value : values) scores.push_back(static_cast<float>(value));
  scores.resize(vocab_size, kUnusedScore);
  writer.add_float32_array(kScoresKey, scores);
  return {};
}

}  // namespace

Status copy_tokenizer(const GgufFile& source, uint32_t vocab_size, GgufWriter& writer) {
  if (!source.has(kTokensKey)) {
    return fail(ErrorCode::kNotFound,
                "{}: no tokenizer in this file ({} is missing); name a complete model file",
                source.path(), kTokensKey);
  }
  RUVLLM_ASSIGN(const std::vector<std::string_view> tokens, source.get_string_array(kTokensKey));
  if (tokens.size() > vocab_size) {
    return fail(ErrorCode::kInvalidArgument,
                "{}: its tokenizer has {} tokens, the shape has room for {}; take a smaller "
                "tokenizer or another shape",
                source.path(), tokens.size(), vocab_size);
  }
  for (const GgufEntry& entry : source.entries()) {
    const bool is_per_token =
        entry.key == kTokensKey || entry.key == kKindsKey || entry.key == kScoresKey;
    if (entry.key.starts_with(kPrefix) && !is_per_token) {
      RUVLLM_TRY(writer.copy_entry(source, entry.key));
    }
  }
  add_tokens(tokens, vocab_size, writer);
  RUVLLM_TRY(add_kinds(source, tokens.size(), vocab_size, writer));
  return add_scores(source, tokens.size(), vocab_size, writer);
}

}  // namespace ruvllm::api
