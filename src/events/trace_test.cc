#include "events/trace.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace ruvllm::events {
namespace {

std::vector<float> numbers(size_t count, float first) {
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i) values.push_back(first + 0.37f * static_cast<float>(i));
  return values;
}

std::vector<int32_t> copy_of(std::span<const int32_t> tokens) {
  return {tokens.begin(), tokens.end()};
}

TEST(TraceTest, CandidatesAscendWithoutDoublesAndCarryTheirLogits) {
  Trace trace({.capacity = 4, .hidden_dim = 3, .num_top = 3, .max_rows = 5});
  const std::vector<float> hidden = numbers(3, -0.1f), logits = numbers(40, -3);
  const std::vector<int32_t> top = {30, 7, 12}, rows = {2, 7, 9, 30, 39};
  trace.record({5, 9, 1.25, hidden, logits, top, rows});   // the target has a row
  trace.record({6, 12, 1.5, hidden, logits, top, rows});   // and is likely
  trace.record({7, 20, 1.75, hidden, logits, top, rows});  // and is neither
  trace.record({8, 0, 2.0, hidden, logits, {}, {}});

  ASSERT_EQ(trace.size(), 4);
  EXPECT_EQ(trace.num_dropped(), 0);
  EXPECT_EQ(copy_of(trace.token(0).candidate_tokens), (std::vector{2, 7, 9, 12, 30, 39}));
  EXPECT_EQ(copy_of(trace.token(1).candidate_tokens), (std::vector{2, 7, 9, 12, 30, 39}));
  EXPECT_EQ(copy_of(trace.token(2).candidate_tokens), (std::vector{2, 7, 9, 12, 20, 30, 39}));
  EXPECT_EQ(copy_of(trace.token(3).candidate_tokens), (std::vector{0}));
  for (int32_t i = 0; i < trace.size(); ++i) {
    const TracedToken token = trace.token(i);
    ASSERT_EQ(token.candidate_logits.size(), token.candidate_tokens.size());
    for (size_t k = 0; k < token.candidate_tokens.size(); ++k) {
      EXPECT_EQ(token.candidate_logits[k], logits[static_cast<size_t>(token.candidate_tokens[k])]);
    }
    ASSERT_EQ(token.hidden.size(), 3u);
    for (size_t k = 0; k < 3; ++k) {
      EXPECT_NEAR(f16_to_f32(token.hidden[k]), hidden[k], std::abs(hidden[k]) / 2048);
    }
  }
  EXPECT_EQ(trace.token(2).position, 7);
  EXPECT_EQ(trace.token(2).target, 20);
  EXPECT_EQ(trace.token(2).log_sum_exp, 1.75);
}

TEST(TraceTest, WhatFindsNoRoomIsCounted) {
  Trace trace({.capacity = 2, .hidden_dim = 2, .num_top = 1, .max_rows = 1});
  const std::vector<float> hidden = {1, 2}, logits = numbers(8, 0);
  const std::vector<int32_t> top = {5, 4}, rows = {1, 2};
  for (int32_t i = 0; i < 5; ++i) trace.record({i, 3, 0.5, hidden, logits, top, rows});
  EXPECT_EQ(trace.size(), 2);
  EXPECT_EQ(trace.num_dropped(), 3);
  // Nor is more taken of a position than was reserved for it.
  EXPECT_EQ(copy_of(trace.token(1).candidate_tokens), (std::vector{1, 3, 5}));
  EXPECT_GT(trace.bytes(), 0u);
}

TEST(TraceTest, NoCapacityRecordsNothing) {
  Trace trace({.capacity = 0, .hidden_dim = 2});
  trace.record({0, 0, 0.5, std::vector<float>{1, 2}, std::vector<float>{1}, {}, {}});
  EXPECT_EQ(trace.size(), 0);
  EXPECT_EQ(trace.num_dropped(), 1);
}

}  // namespace
}  // namespace ruvllm::events
