// How many cache pages tokens take, for those who plan with them. Pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/attention.h"
#include "ops/kv_tiers.h"

namespace ruvllm::engine {

// Pages of both tiers of the cache.
struct PageCounts {
  int64_t half = 0;    // binary16
  int64_t stored = 0;  // quantized

  PageCounts operator+(const PageCounts& other) const {
    return {half + other.half, stored + other.stored};
  }
  PageCounts operator-(const PageCounts& other) const {
    return {half - other.half, stored - other.stored};
  }
  bool fits(const PageCounts& room) const { return half <= room.half && stored <= room.stored; }
};

struct PageBudget {
  bool has_store = false;
  ops::KvTiers tiers = {};
  int32_t longest = INT32_MAX;  // tokens that a sequence can come to have
  PageCounts free = {INT32_MAX, INT32_MAX};

  // Taken when a sequence grows from `num_computed` tokens to `num_tokens`, in one step.
  PageCounts growth(int32_t num_computed, int32_t num_tokens) const {
    return {pages(num_tokens) - pages(num_computed), stored(num_tokens) - stored(num_computed)};
  }
  // Held between steps by a sequence of so many tokens: what is stored leaves binary16.
  PageCounts held(int32_t num_tokens) const {
    num_tokens = std::min(num_tokens, longest);
    return {pages(num_tokens) - stored(num_tokens), stored(num_tokens)};
  }

 private:
  static int64_t pages(int32_t num_tokens) {
    return (int64_t{num_tokens} + kernels::kPageTokens - 1) / kernels::kPageTokens;
  }
  int64_t stored(int32_t num_tokens) const {
    if (!has_store || num_tokens == 0) return 0;
    return tiers.stored_pages(num_tokens - 1) - ops::KvTiers::kFirstStoredPage;
  }
};

}  // namespace ruvllm::engine
