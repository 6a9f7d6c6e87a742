#include "text/tokenizer/split/patterns.h"

#include <algorithm>
#include <array>
#include <string>

#define RUVLLM_TRAILING_SPACES RUVLLM_SPACES "+(?![^" RUVLLM_SPACE "])"
#define RUVLLM_SPACE_RUNS RUVLLM_TRAILING_SPACES "|" RUVLLM_SPACES "+"
#define RUVLLM_NEWLINES RUVLLM_SPACES R"(*[\r\n]+|)"
#define RUVLLM_CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"

namespace ruvllm::text {
namespace {

using std::string_view;

#define RUVLLM_GPT2_WORDS                                          \
  R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^)" RUVLLM_SPACE \
  R"(\p{L}\p{N}]+|)" RUVLLM_TRAILING_SPACES
#define RUVLLM_GPT2 RUVLLM_GPT2_WORDS "|" RUVLLM_SPACES "+"

constexpr string_view kGpt2[] = {RUVLLM_GPT2};
constexpr string_view kDigitsThenGpt2[] = {R"(\p{N})", RUVLLM_GPT2};
// What llama.cpp does for files that name no pattern, old GPT-2-like conversions.
constexpr string_view kDefault[] = {R"([\p{P}$+<=>^~|]+)", RUVLLM_GPT2_WORDS, R"(\p{N}+)",
                                    "[0-9][0-9][0-9]"};
constexpr string_view kFalcon[] = {R"([\p{P}$+<=>^~|`]+)", RUVLLM_GPT2, "[0-9][0-9][0-9]"};
constexpr string_view kChameleon[] = {"<sentinel:[0-9]+>",       "IMGIMG[A-I]{1,4}Z",
                                      R"([\t\n]|    |  )",       R"(\p{N})",
                                      R"([\p{P}!-/:-@\[-`{-~])", RUVLLM_GPT2};

// Words of letters; those that follow differ in how many digits make a piece.
#define RUVLLM_TIKTOKEN_SYMBOLS " ?[^" RUVLLM_SPACE R"(\p{L}\p{N}]+[\r\n]*|)"
#define RUVLLM_TIKTOKEN(contractions, digits)        \
  contractions R"([^\r\n\p{L}\p{N}]?\p{L}+|)" digits \
               "|" RUVLLM_TIKTOKEN_SYMBOLS RUVLLM_NEWLINES RUVLLM_SPACE_RUNS

constexpr string_view kLlama3[] = {RUVLLM_TIKTOKEN(RUVLLM_CONTRACTION "|", R"(\p{N}{1,3})")};
constexpr string_view kQwen2[] = {RUVLLM_TIKTOKEN(RUVLLM_CONTRACTION "|", R"(\p{N})")};
constexpr string_view kUfakzeka[] = {RUVLLM_TIKTOKEN("", R"(\p{N})")};
constexpr string_view kMinicpm5[] = {R"(\p{N}{1,3})",
                                     RUVLLM_TIKTOKEN(RUVLLM_CONTRACTION "|", R"(\p{N}+)")};
constexpr string_view kLaguna[] = {R"([^\n]+|\n+)",
                                   RUVLLM_TIKTOKEN(RUVLLM_CONTRACTION "|", R"(\p{N})")};
constexpr string_view kQwen35[] = {
    RUVLLM_CONTRACTION R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^)" RUVLLM_SPACE
                       R"(\p{L}\p{M}\p{N}]+[\r\n]*|)" RUVLLM_NEWLINES RUVLLM_SPACE_RUNS};
constexpr string_view kJais2[] = {
    RUVLLM_CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)" RUVLLM_TIKTOKEN_SYMBOLS RUVLLM_NEWLINES
    "(?:" RUVLLM_SPACES "{512}|" RUVLLM_SPACES "{256}|" RUVLLM_SPACES "{128}|" RUVLLM_SPACES
    "{64}|" RUVLLM_SPACES "{32}|" RUVLLM_SPACES "{16}|" RUVLLM_SPACES "{8}|" RUVLLM_SPACES
    "{4}|" RUVLLM_SPACES "{1,2})(?![^" RUVLLM_SPACE "])|" RUVLLM_SPACES};
constexpr string_view kBailing[] = {
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)" RUVLLM_TIKTOKEN_SYMBOLS RUVLLM_SPACES
    R"(*[\r\n]|)" RUVLLM_SPACE_RUNS};
constexpr string_view kSeedCoder[] = {RUVLLM_CONTRACTION
                                      R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^)" RUVLLM_SPACE
                                      R"(\p{L}\p{N}]+|)" RUVLLM_NEWLINES RUVLLM_SPACE_RUNS};
// Words may hold single spaces. Possessive: nothing that follows could use what they give back.
constexpr string_view kExaoneMoe[] = {
    RUVLLM_CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?\p{L}\p{M}*+(?: ?\p{L}\p{M}*+)*+|\p{N}| ?[^)" RUVLLM_SPACE
    R"(\p{L}\p{N}]+[\r\n/]?|)" RUVLLM_SPACES R"(*[\r\n]|)" RUVLLM_SPACE_RUNS};

// Words that change from capitals to small letters once. `upper` and `lower` are classes.
#define RUVLLM_CASED_WORD(upper, lower, ending)                                               \
  R"([^\r\n\p{L}\p{N}]?)" upper "*" lower "+" ending R"(|[^\r\n\p{L}\p{N}]?)" upper "+" lower \
  "*" ending "|"
#define RUVLLM_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define RUVLLM_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define RUVLLM_CASED(ending, digits)                    \
  RUVLLM_CASED_WORD(RUVLLM_UPPER, RUVLLM_LOWER, ending) \
  digits "| ?[^" RUVLLM_SPACE R"(\p{L}\p{N}]+[\r\n/]*|)" RUVLLM_NEWLINES RUVLLM_SPACE_RUNS

constexpr string_view kTekken[] = {RUVLLM_CASED("", R"(\p{N})")};
constexpr string_view kGpt4o[] = {RUVLLM_CASED(RUVLLM_CONTRACTION "?", R"(\p{N}{1,3})")};
constexpr string_view kTinyAya[] = {kDigitGroupsBeforeWordEnd,
                                    RUVLLM_CASED(RUVLLM_CONTRACTION "?", R"(\p{N}{1,3})")};
constexpr string_view kYoutu[] = {
    "[\uAC00-\uD7A3\u3131-\u318E]+|["
    "\uFF01\u2026\u201C\u201D\u2018\u2019\u2014\uFF1A\uFF1B\uFF0C\u3001-\u303F\uFE30-\uFE4F]+|["
    "\u3105-\u312F]+|[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
    RUVLLM_CASED(RUVLLM_CONTRACTION "?", R"(\p{N})")};
// The classes leave out Han; PCRE2 has no difference of sets, so they name the complement.
constexpr string_view kKimi[] = {R"(\p{sc:Han}+|)" RUVLLM_CASED_WORD(
    R"([^\p{sc:Han}\p{Ll}\p{N}\p{P}\p{S}\p{Z}\p{C}])",
    R"([^\p{sc:Han}\p{Lu}\p{Lt}\p{N}\p{P}\p{S}\p{Z}\p{C}])",
    RUVLLM_CONTRACTION
    "?") R"(\p{N}{1,3}|)" RUVLLM_TIKTOKEN_SYMBOLS RUVLLM_NEWLINES RUVLLM_SPACE_RUNS};

#define RUVLLM_SYMBOL_WORD R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)"
#define RUVLLM_DEEPSEEK_WORDS \
  RUVLLM_SYMBOL_WORD R"([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)"
#define RUVLLM_HAN_KANA "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+"

constexpr string_view kDeepseek3[] = {R"(\p{N}{1,3})", RUVLLM_HAN_KANA,
                                      RUVLLM_DEEPSEEK_WORDS
                                      R"([\r\n]*|)" RUVLLM_NEWLINES RUVLLM_SPACE_RUNS};
constexpr string_view kSpark[] = {R"(\p{N}{1,3})", RUVLLM_HAN_KANA,
                                  RUVLLM_DEEPSEEK_WORDS R"(|[\r\n]|)" RUVLLM_SPACE_RUNS,
                                  R"(\p{N})"};
constexpr string_view kAfmoe[] = {
    kDigitGroups,
    "[\u4E00-\u9FFF\u3400-\u4DBF\uF900-\uFAFF\u3040-\u309F\u30A0-\u30FF\uFF65-\uFF9F"
    "\u2F00-\u2FDF\u0E40-\u0E7F\u0E80-\u0EFF\u1780-\u17FF\u1000-\u109F\uAA60-\uAA7F"
    "\uA9E0-\uA9FF\uAC00-\uD7AF\u1100-\u11FF]+",
    RUVLLM_DEEPSEEK_WORDS R"([\r\n]*|)" RUVLLM_NEWLINES RUVLLM_SPACE_RUNS};
constexpr string_view kDeepseekCoder[] = {R"([\r\n])", RUVLLM_SPACES R"(?\p{L}+)",
                                          RUVLLM_SPACES R"(?\p{P}+)",
                                          "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+", R"(\p{N})"};
constexpr string_view kDeepseekLlm[] = {
    R"([\r\n])",
    RUVLLM_SPACES
    "?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-"
    "\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-"
    "\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5"
    "\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-"
    "\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-"
    "\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-"
    "\u1FDB\u1FE0-\u1FEC"
    "\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-"
    "\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-"
    "\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-"
    "\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E"
    "\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-"
    "\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-"
    "\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943]+",
    RUVLLM_SPACES "?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
    // White space at the end, sought from the start of each run only.
    "(?<!" RUVLLM_SPACES ")" RUVLLM_SPACES R"(++\z)", "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
    R"(\p{N}+)"};

#define RUVLLM_BLOOM R"( ?[^()" RUVLLM_SPACE "|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"
constexpr string_view kBloom[] = {RUVLLM_BLOOM};
constexpr string_view kViking[] = {RUVLLM_BLOOM, R"(\p{N})"};
constexpr string_view kSuperBpe[] = {R"(\p{N}+)", kDigitGroups};
constexpr string_view kLines[] = {R"([^\n]+|\n+)"};

constexpr string_view kDefaultNames[] = {"default"};
constexpr string_view kGpt2Names[] = {
    "gpt-2",           "phi-2",       "jina-es",    "jina-de",     "gigachat",
    "jina-v2-es",      "jina-v2-de",  "a.x-4.0",    "mellum",      "modern-bert",
    "exaone4",         "mpt",         "olmo",       "jais",        "trillion",
    "granite-docling", "roberta-bpe", "jina-v1-en", "jina-v2-code"};
constexpr string_view kDigitsThenGpt2Names[] = {"starcoder", "refact", "command-r",  "smollm",
                                                "codeshell", "exaone", "minerva-7b", "mellum2"};
constexpr string_view kLlama3Names[] = {"llama-bpe", "llama3",    "llama-v3",
                                        "falcon3",   "falcon-h1", "pixtral",
                                        "midm-2.0",  "lfm2",      "jina-v5-nano"};
constexpr string_view kDbrxNames[] = {"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"};
constexpr string_view kQwen2Names[] = {"qwen2",   "deepseek-r1-qwen", "kormo",
                                       "f2llmv2", "megrez",           "stablelm2",
                                       "hunyuan", "solar-open",       "grok-2"};
constexpr string_view kGpt4oNames[] = {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"};
constexpr string_view kDeepseek3Names[] = {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"};
constexpr string_view kTinyAyaNames[] = {"tiny_aya", "cohere2moe"};
constexpr string_view kBailingNames[] = {"bailingmoe", "bailingmoe2", "llada-moe"};
constexpr string_view kBloomNames[] = {"bloom", "poro-chat", "gpt3-finnish"};
constexpr string_view kCharacterNames[] = {"gemma4", "granite-embed-multi-311m"};
constexpr string_view kSarvamNames[] = {"sarvam-moe"};
constexpr string_view kGraniteEmbeddingNames[] = {"granite-embed-multi-97m"};
constexpr string_view kFalconNames[] = {"falcon"};
constexpr string_view kChameleonNames[] = {"chameleon"};
constexpr string_view kUfakzekaNames[] = {"ufakzeka"};
constexpr string_view kMinicpm5Names[] = {"minicpm5"};
constexpr string_view kLagunaNames[] = {"laguna"};
constexpr string_view kQwen35Names[] = {"qwen35"};
constexpr string_view kJais2Names[] = {"jais-2"};
constexpr string_view kSeedCoderNames[] = {"seed-coder"};
constexpr string_view kExaoneMoeNames[] = {"exaone-moe"};
constexpr string_view kTekkenNames[] = {"tekken"};
constexpr string_view kYoutuNames[] = {"youtu"};
constexpr string_view kKimiNames[] = {"kimi-k2"};
constexpr string_view kSparkNames[] = {"spark2_5"};
constexpr string_view kAfmoeNames[] = {"afmoe"};
constexpr string_view kDeepseekCoderNames[] = {"deepseek-coder"};
constexpr string_view kDeepseekLlmNames[] = {"deepseek-llm"};
constexpr string_view kVikingNames[] = {"viking"};
constexpr string_view kSuperBpeNames[] = {"superbpe"};

constexpr SplitPattern kPatterns[] = {
    {.names = kDefaultNames, .stages = kDefault},
    {.names = kGpt2Names, .stages = kGpt2},
    {.names = kDigitsThenGpt2Names, .stages = kDigitsThenGpt2},
    {.names = kLlama3Names, .stages = kLlama3, .whole_pieces_first = true, .adds_bos = true},
    {.names = kDbrxNames, .stages = kLlama3},
    {.names = kQwen2Names, .stages = kQwen2},
    {.names = kGpt4oNames, .stages = kGpt4o},
    {.names = kGraniteEmbeddingNames, .stages = kGpt4o, .whole_pieces_first = true},
    {.names = kDeepseek3Names, .stages = kDeepseek3},
    {.names = kTinyAyaNames, .stages = kTinyAya},
    {.names = kBailingNames, .stages = kBailing},
    {.names = kBloomNames, .stages = kBloom},
    {.names = kCharacterNames, .stages = kLines, .adds_bos = true, .characters = true},
    {.names = kSarvamNames, .stages = kLines, .characters = true},
    {.names = kFalconNames, .stages = kFalcon},
    {.names = kChameleonNames, .stages = kChameleon, .adds_bos = true},
    {.names = kUfakzekaNames, .stages = kUfakzeka},
    {.names = kMinicpm5Names, .stages = kMinicpm5, .whole_pieces_first = true},
    {.names = kLagunaNames, .stages = kLaguna},
    {.names = kQwen35Names, .stages = kQwen35},
    {.names = kJais2Names, .stages = kJais2},
    {.names = kSeedCoderNames, .stages = kSeedCoder},
    {.names = kExaoneMoeNames, .stages = kExaoneMoe},
    {.names = kTekkenNames, .stages = kTekken, .whole_pieces_first = true, .adds_bos = true},
    {.names = kYoutuNames, .stages = kYoutu, .whole_pieces_first = true},
    {.names = kKimiNames, .stages = kKimi},
    {.names = kSparkNames, .stages = kSpark},
    {.names = kAfmoeNames, .stages = kAfmoe},
    {.names = kDeepseekCoderNames, .stages = kDeepseekCoder},
    {.names = kDeepseekLlmNames, .stages = kDeepseekLlm},
    {.names = kVikingNames, .stages = kViking},
    {.names = kSuperBpeNames, .stages = kSuperBpe},
};

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
