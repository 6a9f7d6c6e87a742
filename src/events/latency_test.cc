#include <gtest/gtest.h>

#include <ruvllm/latency.h>

namespace ruvllm {
namespace {

TEST(LatencyBreakdown, SumsAndNamesTheLargestPart) {
  const LatencyBreakdown latency{.tokenization_us = 100,
                                 .prefill_us = 2'000,
                                 .decode_us = 30'000,
                                 .sampling_us = 400,
                                 .lora_us = 0};
  EXPECT_DOUBLE_EQ(latency.total_ms(), 32.5);
  EXPECT_EQ(latency.bottleneck(), "decode");
  EXPECT_EQ((LatencyBreakdown{.tokenization_us = 9, .sampling_us = 3}).bottleneck(),
            "tokenization");
}

}  // namespace
}  // namespace ruvllm
