#include "text/tokenizer/encoders/unigram_encoder.h"

#include <algorithm>
#include <limits>

#include "text/tokenizer/split/utf8.h"

namespace ruvllm::text {
namespace {

constexpr TokenId kUnknown = -1;  // in the lattice
// SentencePiece's kUnkPenalty: an unknown character is this much worse than the worst token.
constexpr double kUnknownPenalty = 10.0;

}  // namespace

UnigramEncoder::UnigramEncoder(const VocabSpec& spec)
    : scores_(spec.scores),
      unknown_score_(0),
      bytes_(spec),
      falls_back_(spec.byte_fallback),
      unknown_(spec.unk_id.value_or(-1)) {
  double least = std::numeric_limits<double>::max();
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const TokenKind kind = spec.kinds[i];
    if (kind == TokenKind::kNormal) least = std::min<double>(least, scores_[i]);
    if (kind == TokenKind::kControl || kind == TokenKind::kUnknown || kind == TokenKind::kByte) {
      continue;
    }
    // Scores are logarithms of probabilities: 0 makes sure that it is taken.
    if (kind == TokenKind::kUserDefined && !spec.pipeline) scores_[i] = 0;
    if (!spec.tokens[i].empty()) tokens_.insert(spec.tokens[i], static_cast<TokenId>(i));
  }
  unknown_score_ = (least == std::numeric_limits<double>::max() ? 0 : least) - kUnknownPenalty;
}

void UnigramEncoder::append_unknown(std::string_view text, std::vector<TokenId>& ids) const {
  if (falls_back_ && bytes_.append(text, ids)) return;
  if (unknown_ >= 0) ids.push_back(unknown_);
}

void UnigramEncoder::encode(std::string_view piece, EncodeScratch& scratch,
                            std::vector<TokenId>& ids) const {
  auto& lattice = scratch.lattice;  // by where a token ends
  lattice.assign(piece.size() + 1, {-std::numeric_limits<double>::max(), 0, kUnknown});
  lattice[0].score = 0;
  const auto offer = [&lattice](size_t from, size_t to, double score, TokenId id) {
    if (score > lattice[to].score) lattice[to] = {score, from, id};
  };
  for (size_t at = 0; at < piece.size();) {
    const std::string_view rest = piece.substr(at);
    const size_t character = next_utf8(rest).length;
    const double score = lattice[at].score;
    bool is_token = false;
    tokens_.for_each_prefix(rest, [&](size_t length, TokenId id) {
      is_token = is_token || length == character;
      offer(at, at + length, score + double{scores_[static_cast<size_t>(id)]}, id);
    });
    if (!is_token) offer(at, at + character, score + unknown_score_, kUnknown);
    at += character;
  }
  scratch.ranges.clear();
  for (size_t end = piece.size(); end > 0; end = lattice[end].from) {
    scratch.ranges.push_back({lattice[end].from, end});
  }
  std::ranges::reverse(scratch.ranges);
  size_t unknown_begin = 0;
  size_t unknown_end = 0;  // several unknown characters in a row are one
  for (const ByteRange range : scratch.ranges) {
    const TokenId id = lattice[range.end].id;
    if (id == kUnknown) {
      if (unknown_begin == unknown_end) unknown_begin = range.begin;
      unknown_end = range.end;
      continue;
    }
    if (unknown_begin < unknown_end) {
      append_unknown(piece.substr(unknown_begin, unknown_end - unknown_begin), ids);
      unknown_begin = unknown_end;
    }
    ids.push_back(id);
  }
  if (unknown_begin < unknown_end) {
    append_unknown(piece.substr(unknown_begin, unknown_end - unknown_begin), ids);
  }
}

}  // namespace ruvllm::text
