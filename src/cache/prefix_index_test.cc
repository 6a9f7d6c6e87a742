#include "cache/prefix_index.h"

#include <numeric>

#include <gtest/gtest.h>

namespace ruvllm::cache {
namespace {

std::vector<int32_t> tokens_from(int32_t first, size_t count = kernels::kPageTokens) {
  std::vector<int32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(PrefixIndex, FindsBlocksBehindTheirParentOnly) {
  PrefixIndex index = PrefixIndex::create(8).value();
  const Hash128 root = index.root("", {}), other = index.root("tenant", {});
  const uint32_t first = index.find_or_insert(root, tokens_from(0), 0);
  const uint32_t second = index.find_or_insert(index.block(first).hash, tokens_from(32), 1);
  EXPECT_NE(first, second);
  EXPECT_EQ(index.find_or_insert(root, tokens_from(0), 0), first);
  EXPECT_EQ(index.num_blocks(), 2u);
  EXPECT_EQ(index.find(index.block(first).hash, tokens_from(32)), second);
  EXPECT_EQ(index.find(root, tokens_from(32)), PrefixIndex::kNone);
  EXPECT_EQ(index.find(other, tokens_from(0)), PrefixIndex::kNone);
  index.erase(first);
  EXPECT_EQ(index.find(root, tokens_from(0)), PrefixIndex::kNone);
  // Computed again, the block leads to those that were behind it.
  const uint32_t again = index.find_or_insert(root, tokens_from(0), 0);
  EXPECT_EQ(index.find(index.block(again).hash, tokens_from(32)), second);
}

TEST(PrefixIndex, FindsTheLongestBeginningWithAPage) {
  PrefixIndex index = PrefixIndex::create(8).value();
  const Hash128 root = index.root("", {});
  std::vector<int32_t> ending = tokens_from(0, 12);
  const uint32_t partial = index.find_or_insert(root, ending, 0);
  std::vector<int32_t> longer = tokens_from(0);
  longer[20] = 999;
  const uint32_t full = index.find_or_insert(root, longer, 0);
  EXPECT_EQ(index.longest_beginning(root, tokens_from(0)).block_idx, PrefixIndex::kNone);
  index.block(partial).pages[0] = 3;
  EXPECT_EQ(index.longest_beginning(root, tokens_from(0)).block_idx, partial);
  EXPECT_EQ(index.longest_beginning(root, tokens_from(0)).num_tokens, 12u);
  index.block(full).pages[0] = 4;
  EXPECT_EQ(index.longest_beginning(root, tokens_from(0)).block_idx, full);
  EXPECT_EQ(index.longest_beginning(root, tokens_from(0)).num_tokens, 20u);
  EXPECT_EQ(index.longest_beginning(root, tokens_from(0, 9)).num_tokens, 9u);
  EXPECT_EQ(index.longest_beginning(index.root("x", {}), tokens_from(0)).num_tokens, 0u);
}

// Blocks come and go in any order without any getting lost.
TEST(PrefixIndex, KeepsCountOfItsBlocks) {
  PrefixIndex index = PrefixIndex::create(16).value();
  const Hash128 root = index.root("", {});
  std::vector<uint32_t> blocks;
  for (int32_t round = 0; round < 50; ++round) {
    for (int32_t i = 0; i < 16; ++i) {
      blocks.push_back(index.find_or_insert(root, tokens_from(round * 100 + i), 0));
    }
    for (int32_t i = 0; i < 16; ++i) {
      EXPECT_EQ(index.find(root, tokens_from(round * 100 + i)), blocks[static_cast<size_t>(i)]);
    }
    for (size_t i = 0; i < 16; ++i) index.erase(blocks[(i * 7 + 3) % 16]);
    EXPECT_EQ(index.num_blocks(), 0u);
    blocks.clear();
  }
}

TEST(PrefixIndex, KeysMakeOtherHashes) {
  PrefixIndex first = PrefixIndex::create(4).value(), second = PrefixIndex::create(4).value();
  EXPECT_NE(first.root("", {}), second.root("", {}));
  second.set_key(first.key());
  EXPECT_EQ(first.root("", {}), second.root("", {}));
  EXPECT_NE(first.root("", {}), first.root("", {1, 0}));
}

}  // namespace
}  // namespace ruvllm::cache
