#include "text/tokenizer/bpe/merge_table.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <string_view>

#include "text/tokenizer/bpe/hash.h"
#include "text/tokenizer/vocab/vocab_check.h"

namespace ruvllm::text {
namespace {

using TextIndex = std::vector<std::string_view>;  // sorted

static_assert(kMaxTokens <= size_t{1} << 20 && kMaxMerges <= size_t{1} << 22);

// Error of the merge whose `missing` part is no token at all; ok if it is one that text never
// becomes, such as a control token. Sorted on first use: valid files do not come here.
Status check_part(const VocabSpec& spec, size_t index, std::string_view missing,
                  std::optional<TextIndex>& texts) {
  if (!texts) {
    texts.emplace(spec.tokens.begin(), spec.tokens.end());
    std::ranges::sort(*texts);
  }
  if (std::ranges::binary_search(*texts, missing)) return {};
  return fail(ErrorCode::kCorrupt,
              "tokenizer.ggml.merges[{}] '{}': '{}' is not a token; the vocabulary and the merges "
              "belong to different models, convert the file again",
              index, printable_token(spec.merges[index]), printable_token(missing));
}

}  // namespace

size_t MergeTable::slot_of(uint64_t pair) const {
  return mix_hash(pair ^ seed_, seed_ | 1) & mask_;
}

void MergeTable::insert(uint64_t pair, uint32_t rank) {
  size_t i = slot_of(pair);
  while (slots_[i] != kFree && slots_[i] >> kRankBits != pair) i = (i + 1) & mask_;
  slots_[i] = pair << kRankBits | rank;
}

Result<MergeTable> MergeTable::build(const VocabSpec& spec, const TokenTable& tokens) {
  MergeTable table;
  table.slots_.assign(std::bit_ceil(2 * spec.merges.size() + 1), kFree);
  table.mask_ = table.slots_.size() - 1;
  table.seed_ = seed_from_address(table.slots_.data());
  table.results_.assign(spec.merges.size(), kNoToken);
  std::optional<TextIndex> texts;
  std::string spelled;
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    const std::string_view merge = spec.merges[i];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      return fail(ErrorCode::kCorrupt,
                  "tokenizer.ggml.merges[{}] '{}': expected two tokens with a space between", i,
                  printable_token(merge));
    }
    const std::string_view left = merge.substr(0, space);
    const std::string_view right = merge.substr(space + 1);
    spelled.clear();
    const bool left_spelled = tokens.append_spelled(left, spelled);
    const size_t left_size = spelled.size();
    const bool both_spelled = tokens.append_spelled(right, spelled) && left_spelled;
    const std::string_view bytes = spelled;
    const TokenId left_id = both_spelled ? tokens.find(bytes.substr(0, left_size)) : kNoToken;
    const TokenId right_id = both_spelled ? tokens.find(bytes.substr(left_size)) : kNoToken;
    const TokenId result = both_spelled ? tokens.find(bytes) : kNoToken;
    if (left_id == kNoToken || right_id == kNoToken || result == kNoToken) {
      RUVLLM_TRY(check_part(spec, i, left, texts));
      RUVLLM_TRY(check_part(spec, i, right, texts));
      RUVLLM_TRY(check_part(spec, i, std::string(left).append(right), texts));
      continue;
    }
    table.results_[i] = result;
    table.insert(pack(left_id, right_id), static_cast<uint32_t>(i));
  }
  return table;
}

}  // namespace ruvllm::text
