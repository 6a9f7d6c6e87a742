#include "engine/speculation/ngram_index.h"

#include <algorithm>
#include <bit>

#include "base/core/check.h"

namespace ruvllm::engine {
namespace {

// Places of a pair that are compared before the longest match among them is taken, and the length
// at which a match is long enough not to look for a longer one. They bound the time of a token.
constexpr int32_t kMaxPlaces = 48;
constexpr int32_t kLongMatch = 64;

// Tokens that end alike: [0, a] and [0, b], a < b. At most kLongMatch.
int32_t common_suffix(std::span<const int32_t> tokens, size_t a, size_t b) {
  const int32_t limit = static_cast<int32_t>(std::min<size_t>(a + 1, kLongMatch));
  int32_t length = 0;
  while (length < limit &&
         tokens[a - static_cast<size_t>(length)] == tokens[b - static_cast<size_t>(length)]) {
    ++length;
  }
  return length;
}

}  // namespace

NgramIndex::NgramIndex(size_t max_tokens)
    : latest_(std::bit_ceil(std::max<size_t>(max_tokens, 64)), -1) {
  earlier_.reserve(max_tokens);
}

size_t NgramIndex::bucket_of(int32_t first, int32_t second) const {
  const uint64_t pair =
      (static_cast<uint64_t>(static_cast<uint32_t>(first)) << 32) | static_cast<uint32_t>(second);
  // Fibonacci hashing: the upper bits of the product are the well-mixed ones.
  const int bits = std::countr_zero(latest_.size());
  return static_cast<size_t>((pair * 0x9e3779b97f4a7c15u) >> (64 - bits));
}

void NgramIndex::insert(std::span<const int32_t> tokens, size_t position) {
  if (position == 0) {
    earlier_.push_back(-1);
    return;
  }
  int32_t& latest = latest_[bucket_of(tokens[position - 1], tokens[position])];
  earlier_.push_back(latest);
  latest = static_cast<int32_t>(position);
}

void NgramIndex::advance(std::span<const int32_t> tokens) {
  RUVLLM_CHECK(tokens.size() <= earlier_.capacity());
  for (size_t position = earlier_.size(); position < tokens.size(); ++position) {
    // A match that goes on is still the longest: a longer one now was a longer one before.
    const bool goes_on = match_length_ > 0 && tokens[source_] == tokens[position];
    match_length_ = goes_on ? match_length_ + 1 : 0;
    ++source_;
    insert(tokens, position);
  }
  if (match_length_ == 0 && !tokens.empty()) find_match(tokens);
}

void NgramIndex::find_match(std::span<const int32_t> tokens) {
  const size_t last = tokens.size() - 1;
  int32_t best = kMinMatch - 1;
  int32_t place = earlier_[last];
  for (int32_t i = 0; i < kMaxPlaces && place >= 0 && best < kLongMatch; ++i) {
    const size_t position = static_cast<size_t>(place), reach = static_cast<size_t>(best);
    // Whether it can be longer than the best shows at the token before the best's first.
    if (position >= reach && tokens[position - reach] == tokens[last - reach]) {
      const int32_t length = common_suffix(tokens, position, last);
      if (length > best) {
        best = length;
        source_ = position + 1;
      }
    }
    place = earlier_[position];
  }
  match_length_ = best >= kMinMatch ? best : 0;
}

void NgramIndex::propose(std::span<const int32_t> tokens, std::span<int32_t> drafts) const {
  RUVLLM_CHECK(match_length_ > 0 && tokens.size() == earlier_.size());
  for (size_t i = 0; i < drafts.size(); ++i) {
    const size_t position = source_ + i;
    drafts[i] = position < tokens.size() ? tokens[position] : drafts[position - tokens.size()];
  }
}

}  // namespace ruvllm::engine
