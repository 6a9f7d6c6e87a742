#include "text/tokenizer/split/patterns.h"

#include <algorithm>
#include <array>
#include <string>

// Unicode's White_Space, inside a bracket. PCRE2's own \s also has U+180E, which left that set in
// Unicode 6.3 and which the tokenizers' training code does not count as space.
#define RUVLLM_SPACE R"(\t-\r\x{85}\p{Z})"
#define RUVLLM_SPACES "[" RUVLLM_SPACE "]"
#define RUVLLM_TRAILING_SPACES RUVLLM_SPACES "+(?![^" RUVLLM_SPACE "])"

namespace ruvllm::text {
namespace {

using std::string_view;

#define RUVLLM_GPT2_WORDS                                          \
  R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^)" RUVLLM_SPACE \
  R"(\p{L}\p{N}]+|)" RUVLLM_TRAILING_SPACES

constexpr std::array<string_view, 1> kGpt2Stages = {RUVLLM_GPT2_WORDS "|" RUVLLM_SPACES "+"};

// What llama.cpp does for files that name no pattern, old GPT-2-like conversions.
constexpr std::array<string_view, 4> kDefaultStages = {R"([\p{P}$+<=>^~|]+)", RUVLLM_GPT2_WORDS,
                                                       R"(\p{N}+)", "[0-9][0-9][0-9]"};

// The two that follow differ only in how many digits make a piece.
#define RUVLLM_TIKTOKEN_WORDS(digits)                                                             \
  R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" digits "| ?[^" RUVLLM_SPACE         \
  R"(\p{L}\p{N}]+[\r\n]*|)" RUVLLM_SPACES R"(*[\r\n]+|)" RUVLLM_TRAILING_SPACES "|" RUVLLM_SPACES \
  "+"

constexpr std::array<string_view, 1> kLlama3Stages = {RUVLLM_TIKTOKEN_WORDS(R"(\p{N}{1,3})")};
constexpr std::array<string_view, 1> kQwen2Stages = {RUVLLM_TIKTOKEN_WORDS(R"(\p{N})")};

constexpr std::array<string_view, 1> kDefaultNames = {"default"};
constexpr std::array<string_view, 14> kGpt2Names = {
    "gpt-2",   "phi-2",  "jina-es", "jina-de",     "gigachat",   "jina-v2-es",   "jina-v2-de",
    "a.x-4.0", "mellum", "exaone4", "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe"};
constexpr std::array<string_view, 9> kLlama3Names = {"llama-bpe", "llama3",    "llama-v3",
                                                     "falcon3",   "falcon-h1", "pixtral",
                                                     "lfm2",      "midm-2.0",  "jina-v5-nano"};
constexpr std::array<string_view, 5> kQwen2Names = {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2",
                                                    "megrez"};

constexpr std::array<SplitPattern, 4> kPatterns = {{
    {kDefaultNames, kDefaultStages, false},
    {kGpt2Names, kGpt2Stages, false},
    {kLlama3Names, kLlama3Stages, true},
    {kQwen2Names, kQwen2Stages, false},
}};

}  // namespace

std::span<const SplitPattern> split_patterns() { return kPatterns; }

Result<const SplitPattern*> find_split_pattern(std::string_view name) {
  const string_view wanted = name.empty() ? kDefaultNames[0] : name;
  for (const SplitPattern& pattern : kPatterns) {
    if (std::ranges::find(pattern.names, wanted) != pattern.names.end()) return &pattern;
  }
  std::string known;
  for (const SplitPattern& pattern : kPatterns) {
    for (const string_view other : pattern.names) {
      known += known.empty() ? "" : ", ";
      known += other;
    }
  }
  return fail(ErrorCode::kUnsupported,
              "tokenizer.ggml.pre: unknown pre-tokenizer '{}'; known ones: {}",
              wanted.substr(0, 64), known);
}

}  // namespace ruvllm::text
