#include "adapters/head/memory.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"
#include "device/cpu_device.h"
#include "sona/instant/memory/memory_lists.h"
#include "sona/instant/memory/memory_writer.h"

namespace ruvllm::sona {
namespace {

using adapters::MemoryMatches;
using adapters::MemorySearch;
using adapters::MemoryView;
using adapters::RowProducts;

constexpr int32_t kDim = 64;

// Unit vectors around 150 subjects, as hidden states are: near their own, far from the others.
class Subjects {
 public:
  std::vector<float> draw() {
    const uint64_t subject = random_.bits(count_++) % 150;
    std::vector<double> x(kDim);
    double squares = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = centre_.uniform(subject * kDim + i) - 0.5 + 0.9 * (random_.uniform(count_++) - 0.5);
      squares += x[i] * x[i];
    }
    std::vector<float> unit(kDim);
    for (size_t i = 0; i < x.size(); ++i) unit[i] = static_cast<float>(x[i] / std::sqrt(squares));
    return unit;
  }

 private:
  RandomStream random_{11};
  RandomStream centre_{12};
  uint64_t count_ = 0;
};

class MemoryTest : public testing::Test {
 protected:
  MemoryTest()
      : kernels_(*device::choose_kernels("")),
        products_(kernels_.table, kDim, 1),
        writer_(kernels_.table, kDim) {}

  // Targets count from 0 in the order of the states.
  void fill(int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
      writer_.append(states_.emplace_back(subjects_.draw()), next_target_++);
    }
  }

  device::KernelChoice kernels_;
  RowProducts products_;
  MemoryWriter writer_;
  Subjects subjects_;
  std::vector<std::vector<float>> states_;
  int32_t next_target_ = 0;
};

float dot(const std::vector<float>& a, const std::vector<float>& b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

TEST_F(MemoryTest, ReadsEveryStateIfItMay) {
  fill(2000);
  for (const bool is_sealed : {false, true}) {
    if (is_sealed) writer_.seal();
    MemorySearch search(is_sealed ? 4000 : MemorySearch::kDefaultReads);
    const std::vector<float> query = subjects_.draw();
    products_.set_input(0, query);
    const MemoryMatches& matches = search.find(writer_.view(), products_);
    ASSERT_EQ(matches.targets.size(), 2000u);
    EXPECT_TRUE(matches.unread.empty());
    std::vector<bool> seen(2000);
    for (size_t i = 0; i < matches.targets.size(); ++i) {
      const size_t state = static_cast<size_t>(matches.targets[i]);
      seen[state] = true;
      EXPECT_NEAR(matches.similarities[i], dot(query, states_[state]), 0.01f);
    }
    EXPECT_EQ(std::ranges::count(seen, true), 2000);
  }
}

TEST_F(MemoryTest, FindsNearlyAllOfTheNearestAmongMany) {
  fill(12'000);
  writer_.seal();
  const MemoryView& view = writer_.view();
  ASSERT_EQ(view.num_states(), 12'000);
  MemorySearch search;
  constexpr size_t kNearest = 10;
  size_t num_found = 0;
  constexpr size_t kQueries = 100;
  for (size_t q = 0; q < kQueries; ++q) {
    const std::vector<float> query = subjects_.draw();
    products_.set_input(0, query);
    std::vector<std::pair<float, int32_t>> exact;
    for (size_t s = 0; s < states_.size(); ++s) {
      exact.emplace_back(-dot(query, states_[s]), static_cast<int32_t>(s));
    }
    std::ranges::partial_sort(exact, exact.begin() + kNearest);
    const MemoryMatches& matches = search.find(view, products_);
    // The rest is counted, and a fraction of the states is read.
    int64_t counted = static_cast<int64_t>(matches.targets.size());
    EXPECT_LT(counted, 1000);
    for (const auto& list : matches.unread) counted += list.count;
    EXPECT_EQ(counted, view.num_states());
    for (size_t i = 0; i < kNearest; ++i) {
      num_found += std::ranges::count(matches.targets, exact[i].second) > 0 ? 1U : 0U;
    }
  }
  EXPECT_GE(static_cast<double>(num_found) / (kQueries * kNearest), 0.95);
}

TEST_F(MemoryTest, SegmentsStayFewAndKeepEveryState) {
  fill(1500);
  for (int i = 0; i < 15; ++i) {
    fill(1000);
    writer_.seal();
    EXPECT_LE(writer_.view().segments.size(), 5u);
    EXPECT_LE(writer_.view().chunks.size(), 1u);
  }
  EXPECT_EQ(writer_.view().num_states(), 16'500);
  std::vector<int32_t> targets;
  for (const auto& segment : writer_.view().segments) {
    targets.insert(targets.end(), segment->targets.begin(), segment->targets.end());
  }
  const auto& chunk = writer_.view().chunks.back();
  targets.insert(targets.end(), chunk->targets.get(),
                 chunk->targets.get() + writer_.view().num_in_last_chunk);
  std::ranges::sort(targets);
  for (int32_t i = 0; i < 16'500; ++i) ASSERT_EQ(targets[static_cast<size_t>(i)], i);
}

TEST_F(MemoryTest, AViewIsNotDisturbedByWhatComesLater) {
  fill(1000);
  const MemoryView view = writer_.view();
  const std::vector<float> query = subjects_.draw();
  products_.set_input(0, query);
  MemorySearch search;
  const std::vector<float> before = search.find(view, products_).similarities;
  fill(3000);
  writer_.seal();
  products_.set_input(0, query);
  EXPECT_EQ(search.find(view, products_).similarities, before);
  EXPECT_EQ(view.num_states(), 1000);
}

TEST_F(MemoryTest, EqualStatesMakeValidLists) {
  const std::vector<float> state = subjects_.draw();
  for (int32_t i = 0; i < 2048; ++i) writer_.append(state, i);
  writer_.seal();
  products_.set_input(0, state);
  MemorySearch search;
  for (const float similarity : search.find(writer_.view(), products_).similarities) {
    EXPECT_NEAR(similarity, 1.0f, 0.01f);
  }
}

}  // namespace
}  // namespace ruvllm::sona
