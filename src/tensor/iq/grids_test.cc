#include "tensor/iq/grids.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

// FNV-1a over the elements in their order.
template <class Word, size_t kSize>
uint64_t checksum(const Grid<Word, kSize>& grid) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const Word word : grid.words) {
    for (size_t j = 0; j < sizeof(Word); ++j) {
      hash = (hash ^ ((word >> (8 * j)) & 255)) * 0x100000001b3;
    }
  }
  return hash;
}

// Taken from the arrays in ggml-common.h.
TEST(IqGrids, ChecksumsAreThoseOfGgml) {
  EXPECT_EQ(checksum(kIq2XxsGrid), 0xbb4ee025b5ac6e8eu);
  EXPECT_EQ(checksum(kIq2XsGrid), 0xc9b1ee61e79909bdu);
  EXPECT_EQ(checksum(kIq2SGrid), 0x123edd38a3b62b90u);
  EXPECT_EQ(checksum(kIq3XxsGrid), 0xdfa5dc83d6a155d5u);
  EXPECT_EQ(checksum(kIq3SGrid), 0xfa37020c25b44829u);
  EXPECT_EQ(checksum(kIq1Grid), 0x6703ed863501ae2eu);
}

template <class Word, size_t kSize>
std::set<int> levels(const Grid<Word, kSize>& grid) {
  std::set<int> out;
  for (const Word word : grid.words) {
    for (size_t j = 0; j < sizeof(Word); ++j) out.insert(static_cast<int8_t>(word >> (8 * j)));
  }
  return out;
}

// The products' headroom rests on these (kernels/cpu/avx2/rows/grid_rows.h).
TEST(IqGrids, LevelsAndDistinctVectors) {
  const std::set<int> iq2 = {8, 25, 43};
  EXPECT_EQ(levels(kIq2XxsGrid), iq2);
  EXPECT_EQ(levels(kIq2XsGrid), iq2);
  EXPECT_EQ(levels(kIq2SGrid), iq2);
  EXPECT_EQ(levels(kIq3XxsGrid), (std::set<int>{4, 12, 20, 28, 36, 44, 52, 62}));
  EXPECT_EQ(levels(kIq3SGrid), (std::set<int>{1, 3, 5, 7, 9, 11, 13, 15}));
  EXPECT_EQ(levels(kIq1Grid), (std::set<int>{-1, 0, 1}));
  const auto& words = kIq1Grid.words;
  EXPECT_EQ(std::set<uint64_t>(std::begin(words), std::end(words)).size(), std::size(words));
}

TEST(IqGrids, SignsAreEven) {
  for (int i = 0; i < 128; ++i) {
    EXPECT_EQ(kEvenSigns.bits[i] & 127, i);
    EXPECT_EQ(__builtin_popcount(kEvenSigns.bits[i]) % 2, 0);
  }
}

TEST(IqGrids, TablesOfSixteenValues) {
  EXPECT_TRUE(std::ranges::is_sorted(kIq4Values));
  EXPECT_EQ(kIq4Values[0], -127);
  EXPECT_EQ(kIq4Values[15], 113);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(kMxfp4Values[8 + i], -kMxfp4Values[i]);
  EXPECT_EQ(kMxfp4Values[7], 12);
}

}  // namespace
}  // namespace ruvllm
