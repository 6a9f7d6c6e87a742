// Sequences begin, share, fork, advance, end and lose their pages in random order, beside a model
// that knows what every row must read: each page holds, token by token, a hash of all that it
// depends on.
#include <algorithm>
#include <cstring>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "cache/sequence_pages.h"

namespace ruvllm::cache {
namespace {

using kernels::KvStoreFormat;

constexpr int32_t kTokens = kernels::kPageTokens;
constexpr uint64_t kQuantized = 0x5bd1e995u;

struct Live {
  int32_t tenant = 0;
  std::vector<int32_t> tokens;
  std::vector<uint64_t> expected;  // by position: what its slot must hold
  int32_t num_computed = 0;
  SequencePages pages;
};

struct Scenario {
  KvStoreFormat format;
  ops::KvTiers tiers;
  uint32_t num_pages, num_stored_pages;
};

class RandomOperations : public testing::TestWithParam<Scenario> {
 protected:
  RandomOperations() : cache_(KvCache::create(options()).value()) {}

  static KvCacheOptions options() {
    KvCacheOptions options;
    options.shape = {1, 1, 8};
    options.num_pages = GetParam().num_pages;
    options.format = GetParam().format;
    options.tiers = GetParam().tiers;
    options.num_stored_pages = GetParam().num_stored_pages;
    return options;
  }

  uint32_t random(uint32_t bound) { return static_cast<uint32_t>(engine_() % bound); }

  uint64_t* slot(Tier tier, uint32_t page, int32_t position) {
    return reinterpret_cast<uint64_t*>(cache_.pool(tier).page(page)) + position % kTokens;
  }

  void append(Live& live, int32_t token) {
    uint64_t hash =
        live.expected.empty() ? static_cast<uint64_t>(live.tenant) + 77 : live.expected.back();
    hash = (hash ^ static_cast<uint64_t>(token + 1)) * 0x9e3779b97f4a7c15u;
    live.tokens.push_back(token);
    live.expected.push_back(hash ^ hash >> 29);
  }

  // One of few documents, cut anywhere, with an end of its own.
  void begin() {
    auto live = std::make_unique<Live>();
    live->tenant = static_cast<int32_t>(random(3));
    const int32_t document = static_cast<int32_t>(random(5));
    const uint32_t length = 1 + random(400);
    for (uint32_t i = 0; i < length; ++i) {
      append(*live, document * 1000 + static_cast<int32_t>(i));
    }
    for (uint32_t i = random(60); i > 0; --i)
      append(*live, 10'000 + static_cast<int32_t>(random(3)));
    live->pages.plan(2000);
    if (random(8) > 0) {
      const std::string salt = live->tenant == 0 ? "" : std::to_string(live->tenant);
      live->pages.share_under(cache_.index().root(salt, {}));
      live->num_computed =
          live->pages.adopt(cache_, std::span(live->tokens).first(live->tokens.size() - 1));
      num_hits_ += live->num_computed > 0 ? 1u : 0u;
      num_partial_hits_ += live->num_computed % kTokens > 0 ? 1u : 0u;
      check_reads(*live, live->num_computed);
    }
    live_.push_back(std::move(live));
  }

  // What the row at `position` reads of the pages before it.
  void check_reads(Live& live, int32_t position) {
    const int32_t stored = cache_.stored_pages(position);
    const int32_t ready = std::min(stored, live.pages.first_unstored_page());
    for (int32_t i = 0; i < position; ++i) {
      const int32_t page_idx = i / kTokens;
      const bool is_stored = page_idx >= 1 && page_idx < ready;
      const size_t at = static_cast<size_t>(page_idx);
      const uint64_t found =
          is_stored ? *slot(Tier::kStored, live.pages.store_table()[at], i) ^ kQuantized
                    : *slot(Tier::kBinary16, live.pages.block_table()[at], i);
      ASSERT_TRUE(is_stored || page_idx == 0 || page_idx >= live.pages.first_kept_page());
      ASSERT_EQ(found, live.expected[static_cast<size_t>(i)]) << i << " of " << position;
    }
  }

  // Written pages are nobody else's.
  void expect_own(Tier tier, uint32_t page) {
    ASSERT_EQ(cache_.pool(tier).num_references(page), 1u);
    ASSERT_EQ(cache_.pool(tier).block(page), PagePool::kNoBlock);
  }

  void step(Live& live) {
    if (live.num_computed == static_cast<int32_t>(live.tokens.size())) {
      for (uint32_t i = 1 + random(2) * random(60); i > 0; --i) {
        append(live, 20'000 + static_cast<int32_t>(random(2)));
      }
    }
    const int32_t missing = static_cast<int32_t>(live.tokens.size()) - live.num_computed;
    const int32_t rows = std::min(missing, 1 + static_cast<int32_t>(random(150)));
    const int32_t refused = missing == rows && random(3) == 0 ? static_cast<int32_t>(random(9)) : 0;
    const int32_t end = live.num_computed + rows + refused;
    if (!live.pages.reserve(cache_, end)) return make_room(live);
    for (int32_t i = live.num_computed; i < end; ++i) {
      const uint32_t page = live.pages.block_table()[i / kTokens];
      expect_own(Tier::kBinary16, page);
      const bool stays = i < live.num_computed + rows;
      *slot(Tier::kBinary16, page, i) = stays ? live.expected[static_cast<size_t>(i)] : engine_();
    }
    for (int32_t i = live.pages.first_unstored_page(); i < cache_.stored_pages(end - 1); ++i) {
      const uint32_t page = live.pages.store_table()[i];
      expect_own(Tier::kStored, page);
      for (int32_t t = 0; t < kTokens; ++t) {
        *slot(Tier::kStored, page, t) =
            *slot(Tier::kBinary16, live.pages.block_table()[i], t) ^ kQuantized;
      }
    }
    live.num_computed += rows;
    live.pages.advance(cache_, end,
                       std::span(live.tokens).first(static_cast<size_t>(live.num_computed)));
    live.pages.rewind(cache_, live.num_computed);
    if (random(4) == 0) check_reads(live, live.num_computed);
  }

  void fork(const Live& source) {
    if (!source.pages.can_continue_at(cache_, source.num_computed)) FAIL();
    auto live = std::make_unique<Live>();
    live->pages.plan(2000);
    if (!live->pages.fork(cache_, source.pages, source.num_computed)) return;
    live->tenant = source.tenant;
    live->tokens = source.tokens;
    live->expected = source.expected;
    live->num_computed = source.num_computed;
    check_reads(*live, live->num_computed);
    live_.push_back(std::move(live));
    ++num_forks_;
  }

  void end(size_t idx, bool keep) {
    Live& live = *live_[idx];
    if (keep) {
      live.pages.keep(cache_, std::span(live.tokens).first(static_cast<size_t>(live.num_computed)));
    }
    live.pages.release(cache_);
    live_.erase(live_.begin() + static_cast<ptrdiff_t>(idx));
  }

  // A pool is empty only when sequences hold all of it; another one has to go.
  void make_room(const Live& wanting) {
    const bool half_is_full = cache_.pages().num_available() == 0;
    ASSERT_TRUE(half_is_full || cache_.store().num_available() == 0);
    ++num_full_;
    for (size_t i = 0; i < live_.size(); ++i) {
      if (live_[i].get() == &wanting && live_.size() > 1) continue;
      return end(i, random(2) == 0);
    }
  }

  void check_counts() {
    for (const Tier tier : {Tier::kBinary16, Tier::kStored}) {
      if (tier == Tier::kStored && !cache_.has_store()) continue;
      const PagePool& pool = cache_.pool(tier);
      std::vector<uint32_t> references(pool.num_pages());
      for (const auto& live : live_) count_references(*live, tier, references);
      uint32_t num_used = 0;
      for (uint32_t page = 0; page < pool.num_pages(); ++page) {
        ASSERT_EQ(pool.num_references(page), references[page]) << page;
        num_used += references[page] > 0 ? 1u : 0u;
        const uint32_t block = pool.block(page);
        if (block == PagePool::kNoBlock) continue;
        ASSERT_EQ(cache_.index().block(block).page(tier), page);
      }
      ASSERT_EQ(num_used + pool.num_cached() + pool.num_free(), pool.num_pages());
      ASSERT_EQ(pool.bytes_used(), num_used * pool.page_bytes());
    }
    uint32_t num_blocks = 0;
    for (uint32_t i = 0; i < cache_.index().end_of_blocks(); ++i) {
      const PrefixBlock& block = cache_.index().block(i);
      if (block.is_used == 0) continue;
      ++num_blocks;
      ASSERT_TRUE(block.page(Tier::kBinary16) != PrefixBlock::kNoPage ||
                  block.page(Tier::kStored) != PrefixBlock::kNoPage);
    }
    ASSERT_EQ(num_blocks, cache_.index().num_blocks());
  }

  static void count_references(const Live& live, Tier tier, std::vector<uint32_t>& references) {
    const SequencePages& pages = live.pages;
    const bool is_half = tier == Tier::kBinary16;
    const size_t size = is_half ? pages.num_pages() : pages.num_store_pages();
    for (size_t i = 0; i < size; ++i) {
      const bool is_held =
          is_half ? i == 0 || i >= static_cast<size_t>(pages.first_kept_page()) : i >= 1;
      if (is_held) ++references[is_half ? pages.block_table()[i] : pages.store_table()[i]];
    }
  }

  std::mt19937_64 engine_{12345};
  KvCache cache_;
  std::vector<std::unique_ptr<Live>> live_;
  uint64_t num_hits_ = 0, num_partial_hits_ = 0, num_forks_ = 0, num_full_ = 0;
};

TEST_P(RandomOperations, NoPageIsLostWrittenTwiceOrWrong) {
  for (int32_t operation = 0; operation < 100'000 && !HasFatalFailure(); ++operation) {
    const uint32_t choice = random(64);
    const uint32_t idx = random(static_cast<uint32_t>(live_.size()) + 1);
    if (idx == live_.size()) {
      if (choice < 32 && live_.size() < 8) begin();
    } else if (choice < 2 || live_[idx]->num_computed > 1000) {
      end(idx, choice % 4 > 0);
    } else if (choice < 5 && live_.size() < 8) {
      fork(*live_[idx]);
    } else {
      step(*live_[idx]);
    }
    if (operation % 50 == 0) check_counts();
  }
  while (!live_.empty()) end(live_.size() - 1, true);
  check_counts();
  EXPECT_EQ(cache_.bytes_used(), 0u);
  EXPECT_GT(num_hits_, 500u);
  EXPECT_GT(num_partial_hits_, 100u);
  EXPECT_GT(num_forks_, 1000u);
  EXPECT_GT(num_full_, 100u);
}

INSTANTIATE_TEST_SUITE_P(
    Stores, RandomOperations,
    testing::Values(Scenario{KvStoreFormat::kF16, {}, 90, 0},
                    Scenario{KvStoreFormat::kQ8, {.tail_tokens = 64, .batch_tokens = 64}, 70, 60},
                    Scenario{KvStoreFormat::kQ8, {.tail_tokens = 0, .batch_tokens = 32}, 50, 70}));

}  // namespace
}  // namespace ruvllm::cache
