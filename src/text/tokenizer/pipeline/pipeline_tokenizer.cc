#include "text/tokenizer/pipeline/pipeline_tokenizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "text/tokenizer/bpe/byte_level_encoder.h"
#include "text/tokenizer/bpe/character_encoder.h"
#include "text/tokenizer/encoders/score_encoder.h"
#include "text/tokenizer/encoders/unigram_encoder.h"
#include "text/tokenizer/encoders/word_piece_encoder.h"
#include "text/tokenizer/normalize/unicode.h"
#include "text/tokenizer/pipeline/implied_pipeline.h"
#include "text/tokenizer/split/patterns.h"

namespace ruvllm::text {
namespace {

using WholePieces = CharacterEncoder::WholePieces;

// Of a GGUF file: the lines of text, spaces as U+2581, a run of line feeds as one token.
Result<std::unique_ptr<PieceEncoder>> make_character_encoder(
    const VocabSpec& spec, std::shared_ptr<const TokenTable> tokens) {
  WholePieces whole = spec.pipeline ? WholePieces::kNone : WholePieces::kNewlines;
  if (spec.ignore_merges.value_or(false)) whole = WholePieces::kAll;
  return CharacterEncoder::build(spec, std::move(tokens), whole);
}

// Bytes of white space at the end of `text`.
size_t trailing_spaces(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) {
      --begin;
    }
    const CodePoint point = decode_utf8(text.substr(begin, end - begin));
    if (point.length != end - begin || !is_space(point.value)) break;
    end = begin;
  }
  return text.size() - end;
}

size_t leading_spaces(std::string_view text) {
  size_t length = 0;
  while (length < text.size()) {
    const CodePoint point = decode_utf8(text.substr(length));
    if (!is_space(point.value)) break;
    length += point.length;
  }
  return length;
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < 4 &&
         (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) {
    --begin;
  }
  return is_word(decode_utf8(text.substr(begin)).value);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word(decode_utf8(text).value);
}

}  // namespace

Result<PipelineTokenizer::Parts> PipelineTokenizer::make_parts(const VocabSpec& spec) {
  const bool byte_level = spec.model == "gpt2";
  auto tokens = std::make_shared<const TokenTable>(
      spec, byte_level ? TokenSpelling::kByteAlphabet : TokenSpelling::kPlain);
  const SplitPattern* pattern = nullptr;
  const bool has_pattern = (byte_level || spec.model == "gemma4") && !spec.pipeline;
  if (has_pattern) {
    RUVLLM_ASSIGN(pattern, find_split_pattern(byte_level ? spec.pre : "gemma4"));
  }
  Pipeline steps;
  if (spec.pipeline) {
    steps = *spec.pipeline;
  } else if (!byte_level) {
    steps = implied_pipeline(spec);
  }
  RUVLLM_ASSIGN(Normalizer normalizer, Normalizer::compile(steps.normalizers));
  RUVLLM_ASSIGN(PreTokenizer pre_tokenizer, pattern != nullptr
                                                ? PreTokenizer::compile(*pattern)
                                                : PreTokenizer::compile(steps.pre_tokenizers));
  Parts parts{.normalizer = std::move(normalizer),
              .pre_tokenizer = std::move(pre_tokenizer),
              .encoder = nullptr,
              .tokens = nullptr,
              .pieces = std::nullopt};
  if (byte_level) {
    parts.tokens = tokens;
    const bool whole_first =
        spec.ignore_merges.value_or(pattern != nullptr && pattern->whole_pieces_first);
    RUVLLM_ASSIGN(parts.encoder, ByteLevelEncoder::build(spec, std::move(tokens), whole_first));
    return parts;
  }
  parts.pieces.emplace(spec);
  if (spec.model == "t5") {
    parts.encoder = std::make_unique<UnigramEncoder>(spec);
  } else if (spec.model == "bert") {
    parts.encoder = std::make_unique<WordPieceEncoder>(spec);
  } else if (spec.model == "llama" && !spec.pipeline) {
    parts.encoder = std::make_unique<ScoreEncoder>(spec, std::move(tokens));
  } else {
    RUVLLM_ASSIGN(parts.encoder, make_character_encoder(spec, std::move(tokens)));
  }
  return parts;
}

Result<std::shared_ptr<const Tokenizer>> PipelineTokenizer::build(VocabSpec spec) {
  RUVLLM_ASSIGN(Parts parts, make_parts(spec));
  return std::shared_ptr<const Tokenizer>(new PipelineTokenizer(std::move(spec), std::move(parts)));
}

PipelineTokenizer::PipelineTokenizer(VocabSpec vocab, Parts parts)
    : Tokenizer(std::move(vocab)), parts_(std::move(parts)), matching_(spec().matching) {
  std::ranges::sort(matching_, {}, &TokenMatching::id);
  build_specials();
}

void PipelineTokenizer::build_specials() {
  std::vector<TokenKind> kinds = spec().kinds;
  std::vector<TokenKind> normalized_kinds(kinds.size(), TokenKind::kNormal);
  std::vector<std::string> texts;
  for (const TokenMatching& match : matching_) {
    const auto i = static_cast<size_t>(match.id);
    // Control tokens are sought as they are: only so can a caller mark them as literal text.
    if (!match.normalized || parts_.normalizer.is_identity() ||
        kinds[i] != TokenKind::kUserDefined) {
      continue;
    }
    if (texts.empty()) texts = spec().tokens;
    texts[i] = parts_.normalizer.apply(texts[i]);
    normalized_kinds[i] = std::exchange(kinds[i], TokenKind::kNormal);
  }
  specials_.emplace(spec().tokens, kinds);
  if (!texts.empty()) normalized_specials_.emplace(texts, normalized_kinds);
}

template <typename Use>
void PipelineTokenizer::for_each_special(std::string_view text, const SpecialTokens& specials,
                                         bool with_control, std::span<const ByteRange> literal,
                                         const Use& use) const {
  size_t end = 0;  // of what the last one took
  for (SpecialMatch match : specials.find(text, with_control, literal)) {
    if (match.begin < end) continue;
    const auto rule = std::ranges::lower_bound(matching_, match.id, {}, &TokenMatching::id);
    if (rule != matching_.end() && rule->id == match.id) {
      if (rule->single_word && (ends_with_word(text.substr(0, match.begin)) ||
                                starts_with_word(text.substr(match.end)))) {
        continue;
      }
      if (rule->strip_left) match.begin -= trailing_spaces(text.substr(end, match.begin - end));
      if (rule->strip_right) match.end += leading_spaces(text.substr(match.end));
    }
    use(match);
    end = match.end;
  }
}

std::vector<TokenId> PipelineTokenizer::encode(std::string_view text,
                                               const EncodeOptions& options) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 2);
  if (options.add_special && spec().add_bos) ids.push_back(*spec().bos_id);
  Scratch scratch;
  size_t begin = 0;
  const auto encode_until = [&](size_t end) {
    const auto literal =
        std::ranges::upper_bound(options.literal, begin, {}, [](const auto& r) { return r.end; });
    const bool has_literal = literal != options.literal.end() && literal->begin < end;
    encode_fragment(text.substr(begin, end - begin), begin == 0, has_literal, scratch, ids);
  };
  for_each_special(text, *specials_, options.parse_special, options.literal,
                   [&](const SpecialMatch& match) {
                     encode_until(match.begin);
                     ids.push_back(match.id);
                     begin = match.end;
                   });
  encode_until(text.size());
  if (options.add_special && spec().add_eos) ids.push_back(*spec().eos_id);
  if (options.add_special && spec().add_sep) ids.push_back(*spec().sep_id);
  return ids;
}

void PipelineTokenizer::encode_fragment(std::string_view text, bool at_start, bool has_literal,
                                        Scratch& scratch, std::vector<TokenId>& ids) const {
  if (text.empty()) return;
  if (parts_.normalizer.is_identity()) {
    encode_text(text, at_start, scratch, ids);
    return;
  }
  const std::string normalized = parts_.normalizer.apply(text);
  text = normalized;
  size_t begin = 0;
  if (normalized_specials_ && !has_literal) {
    for_each_special(text, *normalized_specials_, false, {}, [&](const SpecialMatch& match) {
      encode_text(text.substr(begin, match.begin - begin), at_start && begin == 0, scratch, ids);
      ids.push_back(match.id);
      begin = match.end;
    });
  }
  encode_text(text.substr(begin), at_start && begin == 0, scratch, ids);
}

void PipelineTokenizer::encode_text(std::string_view text, bool at_start, Scratch& scratch,
                                    std::vector<TokenId>& ids) const {
  PreTokenizer::Pieces& pieces = scratch.pieces;
  parts_.pre_tokenizer.apply(text, at_start, pieces);
  for (ByteRange range : pieces.ranges) {
    for (; range.end - range.begin > kMaxPieceBytes; range.begin += kMaxPieceBytes) {
      parts_.encoder->encode(pieces.text.substr(range.begin, kMaxPieceBytes), scratch.encoding,
                             ids);
    }
    parts_.encoder->encode(pieces.text.substr(range.begin, range.end - range.begin),
                           scratch.encoding, ids);
  }
}

std::string_view PipelineTokenizer::piece(TokenId id, bool render_special) const {
  if (id < 0 || static_cast<size_t>(id) >= vocab_size()) return {};
  const TokenKind kind = spec().kinds[static_cast<size_t>(id)];
  const bool hidden = kind == TokenKind::kControl || kind == TokenKind::kUnknown;
  if (hidden && !render_special) return {};
  return parts_.pieces ? parts_.pieces->bytes(id) : parts_.tokens->bytes(id);
}

}  // namespace ruvllm::text
