// One way to predict a stream's next tokens from what came before.
#pragma once

#include <span>

#include "sona/evaluation/feed/text_feed.h"

namespace ruvllm::sona {

// predict() of all arms comes before learn() of any, for every chunk. One thread at a time.
class Arm {
 public:
  virtual ~Arm() = default;
  // log(p / p_0) of each position's target, [positions], as the mixture that this arm serves has
  // it: its weights follow token by token, what it learned does not change within a chunk.
  virtual void predict(const FeedChunk& chunk, std::span<double> log_ratios) = 0;
  virtual void learn(const FeedChunk& /*chunk*/) {}
};

}  // namespace ruvllm::sona
