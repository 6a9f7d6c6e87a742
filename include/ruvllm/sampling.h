// How the next token is chosen from the model's logits.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace ruvllm {

// Applied in this order: logit bias, penalties, top-k, top-p, min-p, temperature, draw.
// The draw depends only on seed, position and logits: same seed, same text, any thread count.
struct SamplingParams {
  float temperature = 0.8f;  // 0: greedy (lowest id wins an exact tie)
  int32_t top_k = 40;        // 0: all tokens
  float top_p = 0.95f;       // 1: off; smallest set of tokens with at least this probability
  float min_p = 0.05f;       // 0: off; at least this fraction of the likeliest token's probability
  float repetition_penalty = 1.0f;  // logits of recent tokens divided (or, if negative, multiplied)
  float frequency_penalty = 0.0f;   // subtracted for each recent occurrence
  float presence_penalty = 0.0f;    // subtracted once for a recent token
  int32_t penalty_last_n = 64;      // recent: the last n tokens, prompt included; -1: all
  std::vector<std::pair<int32_t, float>> logit_bias = {};  // token id, added to its logit
  std::optional<uint64_t> seed = {};  // none: a fresh random one, reported with the result
  // Log-probabilities (natural, of the model before penalties and temperature) of the chosen token
  // and this many likeliest; -1: none.
  int32_t num_logprobs = -1;
};

}  // namespace ruvllm
