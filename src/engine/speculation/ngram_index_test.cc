#include "engine/speculation/ngram_index.h"

#include <random>

#include <gtest/gtest.h>

namespace ruvllm::engine {
namespace {

// The longest match of the end of `tokens` with an earlier place, by trying all.
int32_t longest_match(std::span<const int32_t> tokens) {
  size_t best = 0;
  for (size_t end = 1; end < tokens.size(); ++end) {
    size_t length = 0;
    while (length < end && tokens[end - 1 - length] == tokens[tokens.size() - 1 - length]) ++length;
    best = std::max(best, length);
  }
  return best >= static_cast<size_t>(NgramIndex::kMinMatch) ? static_cast<int32_t>(best) : 0;
}

// Whether `drafts` went on after some earlier place of the last `length` tokens.
bool follows_a_match(std::vector<int32_t> tokens, size_t length, std::span<const int32_t> drafts) {
  const std::vector<int32_t> end(tokens.end() - static_cast<ptrdiff_t>(length), tokens.end());
  const size_t size = tokens.size();
  tokens.insert(tokens.end(), drafts.begin(), drafts.end());
  for (size_t place = length; place < size; ++place) {
    if (!std::equal(end.begin(), end.end(),
                    tokens.begin() + static_cast<ptrdiff_t>(place - length))) {
      continue;
    }
    if (std::equal(drafts.begin(), drafts.end(), tokens.begin() + static_cast<ptrdiff_t>(place))) {
      return true;
    }
  }
  return false;
}

TEST(NgramIndex, FindsTheLongestMatchInAnyChunks) {
  std::mt19937 random(1);
  for (int round = 0; round < 400; ++round) {
    const size_t size = 2 + random() % 48;
    const uint32_t alphabet = 1 + static_cast<uint32_t>(random() % 6);
    std::vector<int32_t> tokens;
    NgramIndex index(size);
    while (tokens.size() < size) {
      for (size_t chunk = 1 + random() % 4; chunk > 0 && tokens.size() < size; --chunk) {
        tokens.push_back(static_cast<int32_t>(random() % alphabet));
      }
      index.advance(tokens);
      ASSERT_EQ(index.match_length(), longest_match(tokens));
      if (index.match_length() == 0) continue;
      std::vector<int32_t> drafts(1 + random() % 15);
      index.propose(tokens, drafts);
      ASSERT_TRUE(follows_a_match(tokens, static_cast<size_t>(index.match_length()), drafts));
    }
  }
}

TEST(NgramIndex, ARepetitionGoesOnWithItself) {
  const std::vector<int32_t> tokens = {9, 1, 2, 3, 1, 2, 3};
  NgramIndex index(tokens.size());
  index.advance(tokens);
  EXPECT_EQ(index.match_length(), 3);
  std::vector<int32_t> drafts(7);
  index.propose(tokens, drafts);
  EXPECT_EQ(drafts, (std::vector<int32_t>{1, 2, 3, 1, 2, 3, 1}));
}

TEST(NgramIndex, PrefersTheLatestOfEqualMatches) {
  const std::vector<int32_t> tokens = {1, 2, 50, 1, 2, 60, 7, 1, 2};
  NgramIndex index(tokens.size());
  index.advance(tokens);
  EXPECT_EQ(index.match_length(), 2);
  int32_t next = 0;
  index.propose(tokens, {&next, 1});
  EXPECT_EQ(next, 60);
}

TEST(NgramIndex, TinySequencesHaveNoMatch) {
  NgramIndex index(3);
  index.advance({});
  EXPECT_EQ(index.match_length(), 0);
  const std::vector<int32_t> tokens = {5, 5, 5};
  index.advance(std::span(tokens).first(1));
  EXPECT_EQ(index.match_length(), 0);
  index.advance(std::span(tokens).first(2));
  EXPECT_EQ(index.match_length(), 0);
  index.advance(tokens);
  EXPECT_EQ(index.match_length(), 2);
}

}  // namespace
}  // namespace ruvllm::engine
