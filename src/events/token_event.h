// What the step loop tells the reader of one request, through its ring.
#pragma once

#include <cstdint>

namespace ruvllm::events {

inline constexpr int32_t kMaxTopLogprobs = 20;

enum class EndReason : uint8_t {
  kNone,      // a token; more follows
  kEndToken,  // the model ended its answer
  kLength,    // max_tokens or the context is reached
  kCancelled,
  kDeadline,      // the request's time was up
  kNumericError,  // the logits were not finite
  kModelDamaged,  // the weights' file changed while it was in use
};

struct TopLogprob {
  int32_t id = 0;
  float logprob = 0.0f;
};

// Either a token (end == kNone) or the end of the stream.
struct TokenEvent {
  int32_t id = -1;
  EndReason end = EndReason::kNone;
  uint8_t num_top = 0;
  float logprob = 0.0f;
  uint64_t committed_ns = 0;        // monotonic clock, when its step was done
  uint64_t step = 0;                // number of that step
  TopLogprob top[kMaxTopLogprobs];  // likeliest first
};

}  // namespace ruvllm::events
