#include "text/tokenizer/encoders/score_encoder.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "text/tokenizer/split/utf8.h"

namespace ruvllm::text {

ScoreEncoder::ScoreEncoder(const VocabSpec& spec, std::shared_ptr<const TokenTable> tokens)
    : tokens_(std::move(tokens)), bytes_(spec), unknown_(spec.unk_id.value_or(kNoToken)) {
  std::vector<float> scores = spec.scores;
  std::ranges::sort(scores, std::greater<>());
  const auto repeated = std::ranges::unique(scores);
  scores.erase(repeated.begin(), repeated.end());
  ranks_.reserve(spec.scores.size());
  for (const float score : spec.scores) {
    const auto place = std::ranges::lower_bound(scores, score, std::greater<>());
    ranks_.push_back(static_cast<uint32_t>(place - scores.begin()));
  }
}

void ScoreEncoder::encode(std::string_view piece, EncodeScratch& scratch,
                          std::vector<TokenId>& ids) const {
  MergeScratch& merging = scratch.merging;
  merging.clear();
  scratch.ranges.clear();
  for (size_t at = 0; at < piece.size();) {
    const size_t length = next_utf8(piece.substr(at)).length;
    merging.add(tokens_->find(piece.substr(at, length)));
    scratch.ranges.push_back({at, at + length});
    at += length;
  }
  scratch.results.assign(scratch.ranges.size(), kNoToken);
  const auto rank_of = [&](uint32_t left, uint32_t right) {
    const size_t begin = scratch.ranges[left].begin;
    const TokenId id = tokens_->find(piece.substr(begin, scratch.ranges[right].end - begin));
    scratch.results[left] = id;
    return id == kNoToken ? kNoMerge : ranks_[static_cast<size_t>(id)];
  };
  merge_symbols(merging, rank_of, [&](uint32_t left, uint32_t right) {
    merging.symbols[left].id = scratch.results[left];
    scratch.ranges[left].end = scratch.ranges[right].end;
  });
  for_each_symbol(merging, [&](uint32_t i) {
    const ByteRange range = scratch.ranges[i];
    if (const TokenId id = merging.symbols[i].id; id != kNoToken) {
      ids.push_back(id);
    } else if (!bytes_.append(piece.substr(range.begin, range.end - range.begin), ids) &&
               unknown_ != kNoToken) {
      ids.push_back(unknown_);
    }
  });
}

}  // namespace ruvllm::text
