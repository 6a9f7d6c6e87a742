#include "text/tokenizer/bpe/byte_level_tokenizer.h"

#include <algorithm>
#include <utility>

#include "text/tokenizer/bpe/merge_table.h"
#include "text/tokenizer/split/patterns.h"

namespace ruvllm::text {
namespace {

constexpr size_t kMaxPieceBytes = size_t{1} << 30;  // symbol numbers of BytePairEncoder are 32 bits

}  // namespace

Result<std::shared_ptr<const Tokenizer>> ByteLevelTokenizer::build(VocabSpec spec) {
  RUVLLM_ASSIGN(const SplitPattern* pattern, find_split_pattern(spec.pre));
  RUVLLM_ASSIGN(Splitter splitter, Splitter::compile(*pattern));
  TokenTable tokens(spec);
  RUVLLM_ASSIGN(MergeTable merges, MergeTable::build(spec, tokens));
  return std::shared_ptr<const Tokenizer>(
      new ByteLevelTokenizer(std::move(spec), std::move(tokens), std::move(merges),
                             std::move(splitter), pattern->whole_pieces_first));
}

ByteLevelTokenizer::ByteLevelTokenizer(VocabSpec vocab, TokenTable tokens, MergeTable merges,
                                       Splitter splitter, bool whole_pieces_first)
    : Tokenizer(std::move(vocab)),
      tokens_(std::move(tokens)),
      encoder_(tokens_, std::move(merges)),
      splitter_(std::move(splitter)),
      specials_(spec()),
      whole_pieces_first_(whole_pieces_first),
      whole_pieces_(std::make_unique<std::atomic<WholePiece>[]>(vocab_size())) {}

std::vector<TokenId> ByteLevelTokenizer::encode(std::string_view text,
                                                const EncodeOptions& options) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 2);
  if (options.add_special && spec().add_bos) ids.push_back(*spec().bos_id);
  Scratch scratch;
  size_t begin = 0;
  for (const SpecialMatch& match : specials_.find(text, options.parse_special, options.literal)) {
    encode_text(text.substr(begin, match.begin - begin), scratch, ids);
    ids.push_back(match.id);
    begin = match.end;
  }
  encode_text(text.substr(begin), scratch, ids);
  if (options.add_special && spec().add_eos) ids.push_back(*spec().eos_id);
  return ids;
}

void ByteLevelTokenizer::encode_text(std::string_view text, Scratch& scratch,
                                     std::vector<TokenId>& ids) const {
  scratch.ends.clear();
  splitter_.split(text, scratch.ends);
  size_t begin = 0;
  for (const size_t end : scratch.ends) {
    for (; end - begin > kMaxPieceBytes; begin += kMaxPieceBytes) {
      encoder_.encode(text.substr(begin, kMaxPieceBytes), scratch.merging, ids);
    }
    encode_piece(text.substr(begin, end - begin), scratch, ids);
    begin = end;
  }
}

void ByteLevelTokenizer::encode_piece(std::string_view piece, Scratch& scratch,
                                      std::vector<TokenId>& ids) const {
  const TokenId whole = tokens_.find(piece);
  if (whole == kNoToken) {
    encoder_.encode(piece, scratch.merging, ids);
    return;
  }
  std::atomic<WholePiece>& state = whole_pieces_[static_cast<size_t>(whole)];
  if (whole_pieces_first_ || state.load(std::memory_order_relaxed) == WholePiece::kOneToken) {
    ids.push_back(whole);
    return;
  }
  const size_t old_size = ids.size();
  encoder_.encode(piece, scratch.merging, ids);
  const bool one = ids.size() == old_size + 1 && ids.back() == whole;
  state.store(one ? WholePiece::kOneToken : WholePiece::kSeveralTokens, std::memory_order_relaxed);
}

std::string_view ByteLevelTokenizer::piece(TokenId id, bool render_special) const {
  if (id < 0 || static_cast<size_t>(id) >= vocab_size()) return {};
  const TokenKind kind = spec().kinds[static_cast<size_t>(id)];
  const bool hidden = kind == TokenKind::kControl || kind == TokenKind::kUnknown;
  return hidden && !render_special ? std::string_view() : tokens_.bytes(id);
}

}  // namespace ruvllm::text
